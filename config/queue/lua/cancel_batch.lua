-- Cancel a batch. A chunk that is out ends first, and whoever ends the last one makes the batch `cancelled`; so does the
-- worker that opens a batch in `validating`. Where nothing is out the batch is `cancelled` here and its inbox entry goes.
--
-- KEYS: 1 batch, 2 inbox entry of the batch, 3 inbox-due set.
-- ARGV: 1 batch id, 2 entry id, 3 prefix of open-batches keys, 4 lifetime of results in ms.
-- Returns false for an unknown batch; otherwise {1 when it is cancelled or being cancelled and 0 when it is too late,
-- its status}.
local batch = redis.call('HMGET', KEYS[1], 'status', 'client', 'next_chunk', 'done_chunks')
local status = batch[1]
if not status then return false end
if status == 'cancelling' then return {1, status} end
if status ~= 'validating' and status ~= 'in_progress' then return {0, status} end
if status == 'validating' or batch[3] ~= batch[4] then
  redis.call('HSET', KEYS[1], 'status', 'cancelling')
  return {1, 'cancelling'}
end
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('HSET', KEYS[1], 'status', 'cancelled', 'ended_ms', string.format('%d', now_ms),
  'expires_ms', string.format('%d', now_ms + tonumber(ARGV[4])))
redis.call('SREM', ARGV[3] .. batch[2], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return {1, 'cancelled'}
