-- One round trip per batch, before scoring: who is a duplicate, who is too late, and what history each sees.
--
-- KEYS: 1 sequence counter; then per row: result, seen, inbox entry ('' where nobody asks whether it waits there: in a
--       batch), and per entity: history, labels ('' where not needed).
-- ARGV: 1 events kept per entity, 2 seconds that trimmed events stay for redelivered transactions,
--       3 lifetime of a history log in seconds, 4 lifetime of a `seen` record in seconds, 5 number of rows;
--       then per row: digest, deadline in ms (0: none), number of entities, then one packed event per entity.
-- Returns the server's time in ms, then per row one of
--   {'D', decision}   decided before, same content        {'C'}  known id, other content
--   {'X'}             nobody waits any more               {'S', sequence, events, labels, events, labels, ...}
-- The decision is empty where only the ledger still holds it (shrink.lua).
--
-- A log is a string: 24 bytes of header (position of the first record, mark, time of the mark), then records of
-- fixed width in arrival order. A row's `seen` record holds the positions it saw, so that a redelivery of the same
-- transaction reads exactly the same bytes, and appends nothing. Of accepted work it has no end: it stays as long as
-- the inbox entry or dead letter, which may be replayed weeks later, and goes with it.
-- include decision_of
local HEADER = 24
local HARD_CAP = 65536
local keep, retain_s = tonumber(ARGV[1]), tonumber(ARGV[2])
local log_ttl_s, seen_ttl_s = ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now_ms = now_s * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function read_log(key, width, position)
  -- Up to `keep` records that end at `position`.
  if position == 0 then return '' end
  local header = redis.call('GETRANGE', key, 0, HEADER - 1)
  if #header < HEADER then return '' end
  local base = struct.unpack('<d', header)
  local first = math.max(base, position - keep)
  if position <= first then return '' end
  return redis.call('GETRANGE', key, HEADER + (first - base) * width, HEADER + (position - base) * width - 1)
end

local function end_of_log(key, width)
  local length = redis.call('STRLEN', key)
  if length < HEADER then return 0 end
  return struct.unpack('<d', redis.call('GETRANGE', key, 0, 7)) + (length - HEADER) / width
end

local function cut_log(key, width, base, position, cut)
  local kept = ''
  if cut < position then kept = redis.call('GETRANGE', key, HEADER + (cut - base) * width, -1) end
  redis.call('SET', key, struct.pack('<ddd', cut, position, now_s) .. kept)
  redis.call('EXPIRE', key, log_ttl_s)
end

local function append_log(key, record)
  local width = #record
  local length = redis.call('STRLEN', key)
  if length < HEADER then
    redis.call('SET', key, struct.pack('<ddd', 0, 0, now_s) .. record, 'EX', log_ttl_s)
    return
  end
  redis.call('APPEND', key, record)
  local count = (length - HEADER) / width + 1
  -- Asked each time, written twice a day: the lifetime has a day to spare over the longest window.
  if redis.call('TTL', key) < log_ttl_s - 43200 then redis.call('EXPIRE', key, log_ttl_s) end
  if count <= 2 * keep then return end
  local base, mark, mark_at = struct.unpack('<ddd', redis.call('GETRANGE', key, 0, HEADER - 1))
  local position = base + count
  if count > HARD_CAP then
    cut_log(key, width, base, position, position - 2 * keep)
  elseif now_s - mark_at >= retain_s then
    cut_log(key, width, base, position, math.max(base, mark - keep))
  end
end

local function replay_row(seen, entities, key_at, event_at)
  local answer = {'S', seen[2]}
  for e = 0, entities - 1 do
    local history, labels = KEYS[key_at + 2 * e], KEYS[key_at + 2 * e + 1]
    answer[3 + 2 * e] = read_log(history, #ARGV[event_at + e], tonumber(seen[3 + 2 * e]))
    answer[4 + 2 * e] = labels ~= '' and read_log(labels, 32, tonumber(seen[4 + 2 * e])) or ''
  end
  return answer
end

local function observe_row(digest, seen_key, is_accepted, entities, key_at, event_at)
  -- A row without entities has no history to see or to extend: nothing is written, so nothing waits for the disk,
  -- and `commit` gives it its sequence number.
  if entities == 0 then return {'S', '0'} end
  local sequence = string.format('%d', redis.call('INCR', KEYS[1]))
  local answer, seen = {'S', sequence}, {digest, sequence}
  for e = 0, entities - 1 do
    local history, labels = KEYS[key_at + 2 * e], KEYS[key_at + 2 * e + 1]
    local event = ARGV[event_at + e]
    local position = end_of_log(history, #event)
    local label_position = labels ~= '' and end_of_log(labels, 32) or 0
    answer[3 + 2 * e] = read_log(history, #event, position)
    answer[4 + 2 * e] = label_position > 0 and read_log(labels, 32, label_position) or ''
    seen[3 + 2 * e] = string.format('%d', position)
    seen[4 + 2 * e] = string.format('%d', label_position)
    append_log(history, event)
  end
  if is_accepted then
    redis.call('SET', seen_key, table.concat(seen, ' '))
  else
    redis.call('SET', seen_key, table.concat(seen, ' '), 'EX', seen_ttl_s)
  end
  return answer
end

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '%S+') do parts[#parts + 1] = part end
  return parts
end

local answers = {now_ms}
local key_at, arg_at = 2, 6
for row = 1, tonumber(ARGV[5]) do
  local digest, deadline_ms, entities = ARGV[arg_at], tonumber(ARGV[arg_at + 1]), tonumber(ARGV[arg_at + 2])
  local stored = redis.call('GET', KEYS[key_at])
  local seen = not stored and entities > 0 and redis.call('GET', KEYS[key_at + 1])
  local waiting = not stored and KEYS[key_at + 2] ~= '' and redis.call('HGET', KEYS[key_at + 2], 'digest')
  local answer
  if stored then
    answer = string.sub(stored, 1, 16) == digest and {'D', decision_of(stored)} or {'C'}
  elseif seen then
    local parts = split(seen)
    answer = parts[1] == digest and replay_row(parts, entities, key_at + 3, arg_at + 3) or {'C'}
    if waiting == parts[1] then redis.call('SET', KEYS[key_at + 1], seen) end
  elseif waiting and waiting ~= digest then
    answer = {'C'}
  elseif deadline_ms > 0 and deadline_ms < now_ms then
    answer = {'X'}
  else
    answer = observe_row(digest, KEYS[key_at + 1], waiting, entities, key_at + 3, arg_at + 3)
  end
  answers[row + 1] = answer
  key_at = key_at + 3 + 2 * entities
  arg_at = arg_at + 3 + entities
end
return answers
