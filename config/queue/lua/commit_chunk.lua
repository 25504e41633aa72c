-- Store the new decisions of some rows of a chunk: as commit.lua does for interactive rows, but what they hold travels
-- once, as one payload that the journal's entry names and each result refers to.
--
-- KEYS: 1 bulk journal, 2 sequence counter, 3 payload counter.
-- ARGV: 1 prefix of payload keys, 2 prefix of result keys, 3 prefix of `seen` keys,
--       4 lifetime of a result in seconds, 5 lifetime of the result of an id that Tollgate made up,
--       6 payload: all decisions, a comma after each but the last, then whatever the ledger's side reads,
--       7 bytes of the decisions, 8 bytes of the records behind them,
--       9 rows as MessagePack, one array each: id, digest, bytes of its decision, has it seen history, is its id made up.
-- First writer wins. The journal's entry says which rows of its payload came too late ('l': their numbers from 0, with
-- commas) and the number before the first sequence number ('b'): rows that saw no history get theirs here, in order.
-- Returns {number of a row that came too late from 0, 'C' when its id has other content or the stored decision after a
-- 'D', ...}.
-- include decision_of
local payload_key = ARGV[1] .. redis.call('INCR', KEYS[3])
-- First, since a row may repeat one before it: what it refers to must be there.
redis.call('SET', payload_key, ARGV[6])
local answers, late, seen, first, new, unseen = {}, {}, {}, 0, 0, 0
for number, row in ipairs(cmsgpack.unpack(ARGV[9])) do
  local result = ARGV[2] .. row[1]
  local reference = row[2] .. '@' .. payload_key .. ' ' .. first .. ' ' .. row[3]
  if redis.call('SET', result, reference, 'NX', 'EX', row[5] and ARGV[5] or ARGV[4]) then
    new = new + 1
    if row[4] then seen[#seen + 1] = ARGV[3] .. row[1] else unseen = unseen + 1 end
  else
    local stored = redis.call('GET', result)
    late[#late + 1] = number - 1
    answers[#answers + 1] = number - 1
    answers[#answers + 1] = string.sub(stored, 1, 16) == row[2] and 'D' .. decision_of(stored) or 'C'
  end
  first = first + row[3] + 1
end
if #seen > 0 then redis.call('DEL', unpack(seen)) end
if new > 0 then
  local base = redis.call('INCRBY', KEYS[2], unseen) - unseen
  redis.call('XADD', KEYS[1], '*', 'p', payload_key, 'd', ARGV[7], 'r', ARGV[8],
    'b', string.format('%d', base), 'l', table.concat(late, ','))
else
  redis.call('DEL', payload_key)
end
return answers
