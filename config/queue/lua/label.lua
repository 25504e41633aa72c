-- Record one label, once: into the label log of each entity of its transaction (future transactions of that entity
-- see it) and into the journal (the ledger stores it), and delete its inbox entry. All together.
--
-- KEYS: 1 sequence counter, 2 journal, 3 marker of this label id, 4 inbox entry, 5 inbox-due set,
--       6 dead-letters set, 7... label logs.
-- ARGV: 1 label as JSON, 2 entry id, 3 lifetime of the marker in seconds, 4 events kept per entity,
--       5 lifetime of a log in seconds, 6 number of records, 7... packed records, appended to every log in order.
-- Returns 1 when the label is new, 0 when it was recorded before.
local HEADER = 24
local new = 0
if redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[3]) then
  new = 1
  local keep, now_s = tonumber(ARGV[4]), tonumber(redis.call('TIME')[1])
  local sequence = string.format('%d', redis.call('INCR', KEYS[1]))
  for log = 7, #KEYS do
    local key = KEYS[log]
    for record = 7, 6 + tonumber(ARGV[6]) do
      local width = #ARGV[record]
      if redis.call('EXISTS', key) == 0 then redis.call('SET', key, struct.pack('<ddd', 0, 0, now_s)) end
      local count = (redis.call('APPEND', key, ARGV[record]) - HEADER) / width
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
    redis.call('EXPIRE', key, ARGV[5])
  end
  redis.call('XADD', KEYS[2], '*', 'l', ARGV[1], 's', sequence)
end
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('ZREM', KEYS[6], ARGV[2])
return new
