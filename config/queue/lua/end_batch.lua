-- A batch comes to its end: completed once the ledger has every decision, or failed.
--
-- KEYS: 1 batch record, 2 finalizing set, 3 set of the client's open batches, 4 inbox entry of the batch,
--       5 inbox-due set.
-- ARGV: 1 batch id, 2 status it must have, 3 status it gets, 4 lifetime of the results in ms, 5 error code,
--       6 error detail, 7 entry id of the batch.
-- Returns 1 when it changed.
if redis.call('HGET', KEYS[1], 'status') ~= ARGV[2] then return 0 end
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'status', ARGV[3], 'ended_ms', string.format('%d', now_ms),
  'expires_ms', string.format('%d', now_ms + tonumber(ARGV[4])), 'error_code', ARGV[5], 'error_detail', ARGV[6])
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[7])
return 1
