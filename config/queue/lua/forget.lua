-- Drop dead letters that are older than their lifetime, with the inbox entries they stand for. One script, so that
-- a letter that an operator replays meanwhile is either dropped whole or not at all.
--
-- KEYS: 1 dead-letters set. ARGV: 1 prefix of inbox keys, 2 lifetime in seconds, 3 most letters per call.
-- Returns the ids of the dropped entries.
local before_s = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[2])
local dropped = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before_s, 'LIMIT', 0, ARGV[3])
for _, entry in ipairs(dropped) do
  redis.call('ZREM', KEYS[1], entry)
  redis.call('DEL', ARGV[1] .. entry)
end
return dropped
