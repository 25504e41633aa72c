-- Record one label, once: into the label log of each entity of its transaction (future transactions of that entity
-- see it) and into the journal (the ledger stores it), and delete its inbox entry. All together.
--
-- KEYS: 1 sequence counter, 2 journal, 3 marker of this label id, 4 inbox entry, 5 inbox-due set,
--       6 dead-letters set, 7 verdict of this decision, 8... label logs.
-- ARGV: 1 label as JSON, 2 entry id, 3 lifetime of marker and verdict in seconds, 4 events kept per entity,
--       5 lifetime of a log in seconds, 6 digest of what the label says, 7 when it became known, 8 what it says (0, 1),
--       9 and 10 the same of the label that counts in the ledger ('' without one), 11 packed record that takes the
--       opposite verdict back, 12 packed record of this one, 13 digest of the label that the ledger has by this id (''
--       without one). The marker keeps the digest: accept.lua knows another label by it. The verdict is the label that
--       counts when the ledger has not got it yet.
-- Returns 1 when the label is new, 0 when it was recorded before, -1 when another label has its id: that one stands.
local HEADER = 24
local new = 0

-- The records that this label adds to each log: none when a later known one counts or nothing changes.
local function records_of(known_at, says)
  local counts_at, counts = tonumber(ARGV[9]), ARGV[10]
  local at, verdict = string.match(redis.call('GET', KEYS[7]) or '', '^(.+):(.)$')
  if at and (not counts_at or tonumber(at) >= counts_at) then counts_at, counts = tonumber(at), verdict end
  if counts_at and counts_at > known_at then return {} end
  redis.call('SET', KEYS[7], ARGV[7] .. ':' .. says, 'EX', ARGV[3])
  if not counts_at then return {ARGV[12]} end
  return counts == says and {} or {ARGV[11], ARGV[12]}
end

-- The ledger remembers for longer than the marker lives.
if ARGV[13] ~= '' then redis.call('SET', KEYS[3], ARGV[13], 'NX', 'EX', ARGV[3]) end
if redis.call('SET', KEYS[3], ARGV[6], 'NX', 'EX', ARGV[3]) then
  new = 1
  local keep, now_s = tonumber(ARGV[4]), tonumber(redis.call('TIME')[1])
  local sequence = string.format('%d', redis.call('INCR', KEYS[1]))
  local records = #KEYS > 7 and records_of(tonumber(ARGV[7]), ARGV[8]) or {}
  for log = 8, #KEYS do
    local key = KEYS[log]
    for _, record in ipairs(records) do
      local width = #record
      if redis.call('EXISTS', key) == 0 then redis.call('SET', key, struct.pack('<ddd', 0, 0, now_s)) end
      local count = (redis.call('APPEND', key, record) - HEADER) / width
      if count > 2 * keep then
        local base, mark, mark_at = struct.unpack('<ddd', redis.call('GETRANGE', key, 0, HEADER - 1))
        local position = base + count
        local cut = math.max(base, mark - keep)
        if now_s - mark_at >= 3600 then
          local kept = redis.call('GETRANGE', key, HEADER + (cut - base) * width, -1)
          redis.call('SET', key, struct.pack('<ddd', cut, position, now_s) .. kept)
        end
      end
    end
    if #records > 0 then redis.call('EXPIRE', key, ARGV[5]) end
  end
  redis.call('XADD', KEYS[2], '*', 'l', ARGV[1], 's', sequence)
end
if new == 0 and redis.call('GET', KEYS[3]) ~= ARGV[6] then new = -1 end
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('ZREM', KEYS[6], ARGV[2])
return new
