-- What a batch had failed for was replayed: the batch goes on where it was, unless more of it is given up still.
-- Changes nothing for a batch that did not fail for a dead letter, and may be repeated.
--
-- KEYS: 1 batch record, 2 set of its dead chunks, 3 set of the client's open batches, 4 inbox entry of the batch,
--       5 inbox-due set.
-- ARGV: 1 batch id, 2 entry id of the batch, 3 prefix of inbox keys, 4 task that opens a batch, 5 its queue.
-- Returns the batch's status. The batch has an entry again, due at once where it had none: the reaper's message then
-- asks for chunks (start_batch.lua).
-- include given_up
local status, code, started = unpack(redis.call('HMGET', KEYS[1], 'status', 'error_code', 'started_ms'))
if status ~= 'failed' or code ~= 'dead_letter' then return status or '' end
if redis.call('HEXISTS', KEYS[4], 'dead_ms') == 1 or given_up(KEYS[2], ARGV[3]) > 0 then return status end
status = started == '0' and 'validating' or 'in_progress'
redis.call('HSET', KEYS[1], 'status', status, 'ended_ms', 0, 'expires_ms', 0, 'error_code', '', 'error_detail', '')
redis.call('SADD', KEYS[3], ARGV[1])
if redis.call('EXISTS', KEYS[4]) == 0 then
  local clock = redis.call('TIME')
  local now_ms = string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000))
  redis.call('HSET', KEYS[4], 'digest', ARGV[1], 'payload', ARGV[1], 'task', ARGV[4], 'queue', ARGV[5],
    'accepted_s', clock[1], 'enqueued_ms', now_ms, 'attempts', 0)
  redis.call('ZADD', KEYS[5], clock[1], ARGV[2])
end
return status
