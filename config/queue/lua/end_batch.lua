-- A batch comes to its end: completed, once the ledger has every decision.
--
-- KEYS: 1 batch record, 2 finalizing set, 3 set of the client's open batches.
-- ARGV: 1 batch id, 2 lifetime of the results in ms.
-- Returns 1 when it changed.
if redis.call('HGET', KEYS[1], 'status') ~= 'finalizing' then return 0 end
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'status', 'completed', 'ended_ms', string.format('%d', now_ms),
  'expires_ms', string.format('%d', now_ms + tonumber(ARGV[2])))
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
return 1
