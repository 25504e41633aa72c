-- How many of a batch's chunks were given up and stay so: dead letters, or dropped ones. A replayed one is at work again.
-- `dead`: the key that names all that ever were dead letters and are not done; `inbox`: prefix of inbox keys.
local function given_up(dead, inbox)
  local number = 0
  for _, entry in ipairs(redis.call('SMEMBERS', dead)) do
    local payload, dead_ms = unpack(redis.call('HMGET', inbox .. entry, 'payload', 'dead_ms'))
    if not payload or dead_ms then number = number + 1 end
  end
  return number
end
