-- Give a dead letter all its attempts again: back among what is due, and on its queue, together.
--
-- KEYS: 1 inbox entry, 2 inbox-due set, 3 dead-letters set, 4 queue.
-- ARGV: 1 entry id, 2 Celery message, 3 seconds after which the entry is overdue.
-- Returns 1, or 0 when there is no such dead letter (any more).
if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now_ms = string.format('%d', now_s * 1000 + math.floor(tonumber(clock[2]) / 1000))
redis.call('HDEL', KEYS[1], 'dead_ms', 'failure', 'deferrals')
redis.call('HSET', KEYS[1], 'attempts', 0, 'enqueued_ms', now_ms)
redis.call('ZADD', KEYS[2], now_s + tonumber(ARGV[3]), ARGV[1])
redis.call('LPUSH', KEYS[4], (string.gsub(ARGV[2], '"enqueued_ms":0', '"enqueued_ms":' .. now_ms, 1)))
return 1
