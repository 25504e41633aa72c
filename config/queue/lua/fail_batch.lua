-- Accepted work of a batch, a chunk or the reading of its upload, was given up: the batch has failed until an operator
-- replays it (resume_batch.lua). One that is being cancelled is `cancelled` when nothing is out but chunks given up.
-- Changes nothing when the entry is no dead letter (any more), and may be repeated.
--
-- KEYS: 1 batch record, 2 set of its dead chunks, 3 set of the client's open batches, 4 inbox entry of the batch,
--       5 inbox-due set.
-- ARGV: 1 batch id, 2 id of the entry that was given up, 3 entry id of the batch, 4 prefix of inbox keys, 5 lifetime of
--       the results in ms, 6 error detail.
-- Returns the status that the batch came to by this, or '' when it keeps the one it has.
-- include given_up
local status, claimed, done = unpack(redis.call('HMGET', KEYS[1], 'status', 'next_chunk', 'done_chunks'))
local is_open = status == 'validating' or status == 'in_progress'
if not is_open and status ~= 'cancelling' and status ~= 'failed' then return '' end
if redis.call('HEXISTS', ARGV[4] .. ARGV[2], 'dead_ms') == 0 then return '' end
if ARGV[2] ~= ARGV[3] then redis.call('SADD', KEYS[2], ARGV[2]) end
local ending = ''
if is_open then
  ending = 'failed'
  redis.call('HSET', KEYS[1], 'error_code', 'dead_letter', 'error_detail', ARGV[6])
elseif status == 'cancelling' and done + given_up(KEYS[2], ARGV[4]) == tonumber(claimed) then
  ending = 'cancelled'
end
if ending == '' then return '' end
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], 'status', ending, 'ended_ms', string.format('%d', now_ms),
  'expires_ms', string.format('%d', now_ms + tonumber(ARGV[5])))
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[3])
if ARGV[2] ~= ARGV[3] then redis.call('DEL', KEYS[4]) end
return ending
