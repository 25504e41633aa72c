-- Push a message for accepted work that still needs one: an entry finished or given up meanwhile gets none.
--
-- KEYS: 1 inbox entry, 2 queue. ARGV: 1 Celery message.
-- Returns 1 when it was pushed, else 0.
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'dead_ms') == 1 then return 0 end
local clock = redis.call('TIME')
local now_ms = string.format('%d', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
redis.call('HSET', KEYS[1], 'enqueued_ms', now_ms)
redis.call('LPUSH', KEYS[2], (string.gsub(ARGV[1], '"enqueued_ms":0', '"enqueued_ms":' .. now_ms, 1)))
return 1
