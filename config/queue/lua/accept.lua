-- Accept work durably: the inbox entry and the Celery message that points at it are written together or not at all.
--
-- KEYS: 1 result ('' when nothing says that the work is done), 2 inbox entry, 3 inbox-due set, 4 queue; of a transaction
--       5 seen.
-- ARGV: 1 digest, 2 entry id, 3 payload, 4 task name, 5 Celery message, 6 seconds after which the entry is overdue.
-- Returns {'A'} accepted, {'P'} already accepted with this content, {'L'} the same and given up: a dead letter,
-- {'D', decision} decided before, {'C'} known id, other content: decided, accepted, or seen and not decided. The decision
-- is empty where only the ledger still holds it (shrink.lua).
-- What the transaction saw before it was accepted is written anew, without an end: it stays as long as the entry
-- (observe.lua).
--
-- The message is stamped here, on the server's clock; the entry's `enqueued_ms` is that stamp (see reap.lua).
-- include decision_of
local digest = ARGV[1]
if KEYS[1] ~= '' then
  local stored = redis.call('GET', KEYS[1])
  if stored then
    if string.sub(stored, 1, 16) ~= digest then return {'C'} end
    return {'D', decision_of(stored)}
  end
end
local known = redis.call('HGET', KEYS[2], 'digest')
if known then
  if known ~= digest then return {'C'} end
  return {redis.call('HEXISTS', KEYS[2], 'dead_ms') == 1 and 'L' or 'P'}
end
local seen = KEYS[5] and redis.call('GET', KEYS[5])
if seen then
  if string.sub(seen, 1, 16) ~= digest then return {'C'} end
  redis.call('SET', KEYS[5], seen)
end
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now_ms = string.format('%d', now_s * 1000 + math.floor(tonumber(clock[2]) / 1000))
redis.call('HSET', KEYS[2], 'digest', digest, 'payload', ARGV[3], 'task', ARGV[4], 'queue', KEYS[4],
  'accepted_s', now_s, 'enqueued_ms', now_ms, 'attempts', 0)
redis.call('ZADD', KEYS[3], now_s + tonumber(ARGV[6]), ARGV[2])
redis.call('LPUSH', KEYS[4], (string.gsub(ARGV[5], '"enqueued_ms":0', '"enqueued_ms":' .. now_ms, 1)))
return {'A'}
