-- Find accepted work that is overdue. Each entry gets its next attempt, or after the last one its place among the
-- dead letters, where an operator can look at it and replay it.
--
-- KEYS: 1 inbox-due set, 2 dead-letters set. ARGV: 1 prefix of inbox keys, 2 seconds until the next attempt is
-- overdue, 3 most attempts, 4 most entries per call.
-- Returns {{'retry' or 'dead', entry id, task name}, ...}.
local now_s = tonumber(redis.call('TIME')[1])
local answer = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_s, 'LIMIT', 0, ARGV[4])) do
  local key = ARGV[1] .. entry
  local task = redis.call('HGET', key, 'task')
  if not task then
    redis.call('ZREM', KEYS[1], entry)
  elseif redis.call('HINCRBY', key, 'attempts', 1) >= tonumber(ARGV[3]) then
    redis.call('ZREM', KEYS[1], entry)
    redis.call('ZADD', KEYS[2], now_s, entry)
    answer[#answer + 1] = {'dead', entry, task}
  else
    redis.call('ZADD', KEYS[1], now_s + tonumber(ARGV[2]), entry)
    answer[#answer + 1] = {'retry', entry, task}
  end
end
return answer
