-- A worker begins to execute accepted work: one more attempt, and nobody else is given the entry for the lease.
--
-- KEYS: 1 inbox entry, 2 inbox-due set, 3 dead-letters set.
-- ARGV: 1 entry id, 2 most attempts, 3 lease in seconds: after it an unfinished entry is overdue.
-- Returns {} when there is nothing to do (finished, or a dead letter), {'X', task} when all attempts are used up and
-- the entry became a dead letter, else {'W', payload, attempt, deferrals}.
local payload, attempts, dead, deferrals, task =
  unpack(redis.call('HMGET', KEYS[1], 'payload', 'attempts', 'dead_ms', 'deferrals', 'task'))
if not payload then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {}
end
if dead then return {} end
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local attempt = tonumber(attempts) + 1
if attempt > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'dead_ms', string.format('%d', now_s * 1000 + math.floor(tonumber(clock[2]) / 1000)))
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], now_s, ARGV[1])
  return {'X', task}
end
redis.call('HSET', KEYS[1], 'attempts', attempt)
redis.call('ZADD', KEYS[2], now_s + tonumber(ARGV[3]), ARGV[1])
return {'W', payload, attempt, tonumber(deferrals or 0)}
