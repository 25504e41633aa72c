-- Drop dead letters that are older than their lifetime, with the inbox entries they stand for and what their transactions
-- saw of history. One script, so that a letter that an operator replays meanwhile is either dropped whole or not at all.
--
-- KEYS: 1 dead-letters set. ARGV: 1 prefix of inbox keys, 2 lifetime in seconds, 3 most letters per call, 4 prefix of
--       `seen` keys, 5 what sets the entry of a transaction apart (names.transaction_of).
-- Returns the ids of the dropped entries.
-- include forget_entry
local before_s = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[2])
local dropped = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before_s, 'LIMIT', 0, ARGV[3])
for _, entry in ipairs(dropped) do
  redis.call('ZREM', KEYS[1], entry)
  local is_set_apart = string.sub(entry, 1, #ARGV[5]) == ARGV[5]
  forget_entry(ARGV[1] .. entry, ARGV[4] .. (is_set_apart and string.sub(entry, #ARGV[5] + 1) or entry))
end
return dropped
