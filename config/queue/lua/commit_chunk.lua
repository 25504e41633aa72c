-- Store the new decisions of one chunk: as commit.lua does for interactive rows, but one journal entry holds them all.
--
-- KEYS: 1 bulk journal, 2 sequence counter; then per row: result, seen ('' where nothing was seen).
-- ARGV: 1 number of rows; then per row: digest, decision, record, features, lifetime of the result in seconds.
-- The journal entry's field 'p' is, per new row, the lengths of decision, record and features (4 bytes each, little
-- endian), the sequence number (float64), then the three. First writer wins.
-- Returns {journal id or '', per row '' when it is new, 'C' when the id has other content, or the stored value's
-- decision after a 'D'}.
local answers, packed, new = {''}, {}, 0
local key_at, arg_at = 3, 2
for row = 1, tonumber(ARGV[1]) do
  local digest, decision = ARGV[arg_at], ARGV[arg_at + 1]
  local record, features = ARGV[arg_at + 2], ARGV[arg_at + 3]
  local result, seen_key = KEYS[key_at], KEYS[key_at + 1]
  local stored = redis.call('GET', result)
  if stored then
    answers[row + 1] = string.sub(stored, 1, 16) == digest and 'D' .. string.sub(stored, 17) or 'C'
  else
    redis.call('SET', result, digest .. decision, 'EX', ARGV[arg_at + 4])
    local sequence
    if seen_key == '' then
      sequence = redis.call('INCR', KEYS[2])
    else
      local seen = redis.call('GET', seen_key)
      sequence = tonumber(seen and string.match(seen, ' (%d+)') or redis.call('INCR', KEYS[2]))
      redis.call('DEL', seen_key)
    end
    packed[new + 1] = struct.pack('<I4I4I4d', #decision, #record, #features, sequence)
    packed[new + 2], packed[new + 3], packed[new + 4] = decision, record, features
    new = new + 4
    answers[row + 1] = ''
  end
  key_at, arg_at = key_at + 2, arg_at + 5
end
if new > 0 then answers[1] = redis.call('XADD', KEYS[1], '*', 'p', table.concat(packed)) end
return answers
