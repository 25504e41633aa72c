-- One chunk is done: its files are on the disk and its decisions in the journal. Counts it once, and moves the batch on.
--
-- KEYS: 1 batch record, 2 inbox entry of the chunk, 3 inbox-due set, 4 queue, 5 inbox entry of the batch,
--       6 finalizing set, 7 set of the client's open batches, 8 dead-letters set, 9 set of the batch's dead chunks,
--       10 bulk journal.
-- ARGV: 1 chunk's entry id, 2 rows decided, 3 rows refused, 4 message that asks for the next chunk, 5 batch id,
--       6 seconds after which a batch without progress is overdue, 7 batch's entry id, 8 lifetime of the results in ms,
--       9 prefix of inbox keys.
-- With the last chunk the batch is `finalizing`, and `journal_id` the newest entry of the journal: all of its decisions
-- are there or were there before it, whichever worker and attempt wrote them.
-- Returns the batch's status. A chunk that was given up while it was at work is done all the same, and no dead letter.
-- include given_up
local status = redis.call('HGET', KEYS[1], 'status')
if redis.call('DEL', KEYS[2]) == 0 then return status or '' end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
redis.call('SREM', KEYS[9], ARGV[1])
if not status then return '' end
redis.call('HINCRBY', KEYS[1], 'completed', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'failed', ARGV[3])
local done = redis.call('HINCRBY', KEYS[1], 'done_chunks', 1)
local claimed = tonumber(redis.call('HGET', KEYS[1], 'next_chunk'))
local chunks = tonumber(redis.call('HGET', KEYS[1], 'chunks'))
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function leave_inbox()
  redis.call('DEL', KEYS[5])
  redis.call('ZREM', KEYS[3], ARGV[7])
  redis.call('ZREM', KEYS[8], ARGV[7])
end
if status == 'cancelling' and done + given_up(KEYS[9], ARGV[9]) == claimed then
  redis.call('HSET', KEYS[1], 'status', 'cancelled', 'ended_ms', string.format('%d', now_ms),
    'expires_ms', string.format('%d', now_ms + tonumber(ARGV[8])))
  redis.call('SREM', KEYS[7], ARGV[5])
  leave_inbox()
  return 'cancelled'
end
if done == chunks and (status == 'in_progress' or status == 'failed') then
  -- A batch that had failed for a dead letter is whole again.
  local newest = redis.call('XREVRANGE', KEYS[10], '+', '-', 'COUNT', 1)[1]
  redis.call('HSET', KEYS[1], 'status', 'finalizing', 'journal_id', newest and newest[1] or '',
    'ended_ms', 0, 'expires_ms', 0, 'error_code', '', 'error_detail', '')
  redis.call('SADD', KEYS[6], ARGV[5])
  redis.call('SADD', KEYS[7], ARGV[5])
  leave_inbox()
  return 'finalizing'
end
if status == 'in_progress' then
  if claimed < chunks then
    local stamp = '"enqueued_ms":' .. string.format('%d', now_ms)
    redis.call('LPUSH', KEYS[4], (string.gsub(ARGV[4], '"enqueued_ms":0', stamp, 1)))
  end
  if redis.call('EXISTS', KEYS[5]) == 1 then
    redis.call('HSET', KEYS[5], 'attempts', 0)
    redis.call('ZADD', KEYS[3], clock[1] + tonumber(ARGV[6]), ARGV[7])
  end
end
return status
