-- The upload of a batch has been read: it goes on, or ends here.
--
-- KEYS: 1 batch record, 2 inbox entry of the batch, 3 inbox-due set, 4 queue, 5 set of the client's open batches,
--       6 finalizing set, 7 dead-letters set.
-- ARGV: 1 batch id, 2 entry id, 3 rows, 4 chunks, 5 error code or '', 6 error detail, 7 lifetime of the results in ms,
--       8 seconds after which a batch without progress is overdue, 9... messages that each ask for one chunk.
-- Returns the batch's status; a batch that was read before only gets its messages again. While chunks are out or to come,
-- its own entry gets back the attempt that came here: chunks have attempts of their own, and may wait for long.
local status = redis.call('HGET', KEYS[1], 'status')
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function at(ms) return string.format('%d', ms) end
local function leave_inbox()
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[7], ARGV[2])
end
local function close(ending)
  redis.call('HSET', KEYS[1], 'status', ending, 'ended_ms', at(now_ms), 'expires_ms', at(now_ms + tonumber(ARGV[7])))
  redis.call('SREM', KEYS[5], ARGV[1])
  leave_inbox()
  return ending
end
if status == 'validating' then
  if ARGV[5] ~= '' then
    redis.call('HSET', KEYS[1], 'error_code', ARGV[5], 'error_detail', ARGV[6])
    return close('failed')
  end
  status = tonumber(ARGV[4]) > 0 and 'in_progress' or 'finalizing'
  redis.call('HSET', KEYS[1], 'status', status, 'total', ARGV[3], 'chunks', ARGV[4], 'started_ms', at(now_ms))
  if status == 'finalizing' then redis.call('SADD', KEYS[6], ARGV[1]) end
elseif status == 'cancelling' then
  local claimed, done = unpack(redis.call('HMGET', KEYS[1], 'next_chunk', 'done_chunks'))
  if claimed == done then return close('cancelled') end
end
-- An attempt that ends after its entry was given up: the dead letter is there for an operator.
if status == 'failed' and redis.call('HEXISTS', KEYS[2], 'dead_ms') == 1 then return status end
if status ~= 'in_progress' and status ~= 'cancelling' then
  leave_inbox()
  return status or ''
end
redis.call('HSET', KEYS[2], 'attempts', 0)
redis.call('ZADD', KEYS[3], clock[1] + tonumber(ARGV[8]), ARGV[2])
if status == 'cancelling' then return status end
local stamp = '"enqueued_ms":' .. at(now_ms)
for number = 9, #ARGV do redis.call('LPUSH', KEYS[4], (string.gsub(ARGV[number], '"enqueued_ms":0', stamp, 1))) end
return status
