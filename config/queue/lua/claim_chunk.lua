-- A bulk worker takes the next chunk of a batch. The chunk is in the inbox from here on, so that a worker that dies
-- with it leaves it to the reaper.
--
-- KEYS: 1 batch record, 2 inbox-due set. ARGV: 1 batch id, 2 prefix of inbox keys, 3 seconds until the chunk is
-- overdue, 4 task name, 5 queue.
-- Returns the number of the chunk, or -1 when there is none to take.
local state = redis.call('HMGET', KEYS[1], 'status', 'next_chunk', 'chunks')
if state[1] ~= 'in_progress' or tonumber(state[2]) >= tonumber(state[3]) then return -1 end
local chunk = redis.call('HINCRBY', KEYS[1], 'next_chunk', 1) - 1
local entry = 'chunk:' .. ARGV[1] .. ':' .. chunk
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', ARGV[2] .. entry, 'digest', entry, 'payload', ARGV[1] .. ' ' .. chunk, 'task', ARGV[4],
  'queue', ARGV[5], 'accepted_s', clock[1], 'enqueued_ms', string.format('%d', now_ms), 'attempts', 1)
redis.call('ZADD', KEYS[2], clock[1] + tonumber(ARGV[3]), entry)
return chunk
