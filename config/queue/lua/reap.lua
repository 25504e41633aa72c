-- Find accepted work that is overdue and whose message cannot be waiting in its queue any more.
--
-- KEYS: 1 inbox-due set. ARGV: 1 prefix of inbox keys, 2 seconds until the next look at an entry, 3 the same for one
-- that is held back after an attempt, 4 most entries per call, 5 ms by which the stamps of two publishers may differ,
-- 6 ms for which a message without a stamp holds an entry back.
-- Returns {how many entries were overdue, {entry id, task name, queue} to enqueue, ...}.
--
-- Queues are first in, first out, and what kombu puts back goes to the end that is consumed next. So while the oldest
-- message of a queue was enqueued no later than an entry's, the entry's own message may still be behind it: it is
-- held back, however long the workers are away. That an attempt began does not tell that no message waits: a worker
-- may have held an older one back for so long that the entry was pushed again.
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now_ms = now_s * 1000 + math.floor(tonumber(clock[2]) / 1000)
local slack_ms, patience_ms = tonumber(ARGV[5]), tonumber(ARGV[6])

local function read_oldest(queue)
  -- The stamp of the message that is consumed next: nil in an empty queue, 0 without a stamp.
  local message = redis.call('LINDEX', queue, -1)
  if not message then return nil end
  local is_json, decoded = pcall(cjson.decode, message)
  local headers = is_json and type(decoded) == 'table' and decoded.headers
  return type(headers) == 'table' and tonumber(headers.enqueued_ms) or 0
end

local looked_at, oldest_of = {}, {}
local function may_wait(queue, enqueued_ms)
  if not looked_at[queue] then looked_at[queue], oldest_of[queue] = true, read_oldest(queue) end
  local oldest_ms = oldest_of[queue]
  if not oldest_ms then return false end
  if oldest_ms == 0 then return now_ms - enqueued_ms < patience_ms end
  return oldest_ms <= enqueued_ms + slack_ms
end

local overdue = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms / 1000, 'LIMIT', 0, ARGV[4])
local answer = {#overdue}
for _, entry in ipairs(overdue) do
  local task, queue, enqueued_ms, attempts =
    unpack(redis.call('HMGET', ARGV[1] .. entry, 'task', 'queue', 'enqueued_ms', 'attempts'))
  if not task then
    redis.call('ZREM', KEYS[1], entry)
  else
    local is_held_back = may_wait(queue, tonumber(enqueued_ms))
    local next_look_s = tonumber(is_held_back and attempts ~= '0' and ARGV[3] or ARGV[2])
    redis.call('ZADD', KEYS[1], now_s + next_look_s, entry)
    if not is_held_back then answer[#answer + 1] = {entry, task, queue} end
  end
end
return answer
