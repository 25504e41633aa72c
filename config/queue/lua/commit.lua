-- One round trip per batch, after scoring: first writer wins, for each row on its own.
--
-- KEYS: 1 journal, 2 reply list ('' when nobody waits), 3 inbox-due set, 4 sequence counter,
--       5 dead-letters set;
--       then per row: result, seen ('' where nothing was seen), inbox ('' where the row did not come from there).
-- ARGV: 1 lifetime of the reply list in seconds, 2 batch id, 3 number of rows;
--       then per row: status, digest, decision, record, features, inbox entry id, lifetime of its result in seconds.
-- The status is 'N' new decision, 'F' one by the rules alone, 'K' canary: answer and store nothing, 'E' could not be
-- scored, or what observe said.
-- A new decision is stored, journalled and its inbox entry deleted together, unless one is stored already:
-- then nothing changes and the stored one is the answer ('D'). A decision by the rules takes the sequence number that
-- a worker gave its transaction meanwhile, or 0: history never saw it. A row that saw nothing gets its number here.
-- The rules decide nothing ('C') under an id whose transaction was seen, or waits in the inbox, with other content; an
-- entry whose id was decided with other content stays, for its worker to give up.
-- A decision that only the ledger still holds in full (shrink.lua) is answered as 'D' with null.
-- Pushes one reply: [batch id, [[status, decision or null], ...]]. Returns how many decisions were new.
-- include decision_of
local reply_ttl_s = ARGV[1]
local replies, new = {}, 0

local function has_other_content(digest, seen, waiting)
  return seen and string.sub(seen, 1, 16) ~= digest or waiting and waiting ~= digest
end

local key_at, arg_at = 6, 4
for row = 1, tonumber(ARGV[3]) do
  local status, digest, decision = ARGV[arg_at], ARGV[arg_at + 1], ARGV[arg_at + 2]
  local result = KEYS[key_at]
  if status == 'N' or status == 'F' then
    local stored = redis.call('GET', result)
    local has_seen = KEYS[key_at + 1] ~= ''
    local seen = status == 'F' and has_seen and redis.call('GET', KEYS[key_at + 1])
    local waiting = status == 'F' and redis.call('HGET', KEYS[key_at + 2], 'digest')
    if stored then
      status = string.sub(stored, 1, 16) == digest and 'D' or 'C'
      decision = decision_of(stored)
    elseif has_other_content(digest, seen, waiting) then
      status = 'C'
    else
      redis.call('SET', result, digest .. decision, 'EX', ARGV[arg_at + 6])
      local fields = {'d', decision, 'r', ARGV[arg_at + 3], 'x', ARGV[arg_at + 4]}
      if status == 'F' then
        fields[7], fields[8] = 's', seen and string.match(seen, ' (%d+)') or '0'
      elseif not has_seen then
        fields[7], fields[8] = 's', string.format('%d', redis.call('INCR', KEYS[4]))
      end
      redis.call('XADD', KEYS[1], '*', unpack(fields))
      if has_seen then redis.call('DEL', KEYS[key_at + 1]) end
      new = new + 1
    end
  end
  if KEYS[key_at + 2] ~= '' and (status == 'N' or status == 'D' or status == 'F') then
    redis.call('DEL', KEYS[key_at + 2])
    redis.call('ZREM', KEYS[3], ARGV[arg_at + 5])
    redis.call('ZREM', KEYS[5], ARGV[arg_at + 5])
  end
  if status == 'C' or status == 'X' or status == 'E' or decision == '' then decision = 'null' end
  replies[row] = '["' .. status .. '",' .. decision .. ']'
  key_at = key_at + 3
  arg_at = arg_at + 7
end
if KEYS[2] ~= '' then
  redis.call('RPUSH', KEYS[2], '[' .. ARGV[2] .. ',[' .. table.concat(replies, ',') .. ']]')
  redis.call('EXPIRE', KEYS[2], reply_ttl_s)
end
return new
