-- Delete an inbox entry and what its transaction saw of history. What other content under the same id saw stays.
local function forget_entry(inbox, seen)
  local digest = redis.call('HGET', inbox, 'digest')
  if digest and redis.call('GETRANGE', seen, 0, 15) == digest then redis.call('DEL', seen) end
  redis.call('DEL', inbox)
end
