-- Leave of stored decisions what is needed to recognise their transactions: the digest. The ledger has the rest.
-- Call it only for decisions that the ledger has committed.
--
-- KEYS: one result per decision. ARGV: the digest of each, as the ledger holds it.
-- An expired result stays gone, one of other content stays whole, what is shrunk keeps its remaining lifetime.
-- Returns how many were shrunk.
local shrunk = 0
for row, key in ipairs(KEYS) do
  local head = redis.call('GETRANGE', key, 0, 16)
  if #head == 17 and string.sub(head, 1, 16) == ARGV[row] then
    redis.call('SET', key, ARGV[row], 'XX', 'KEEPTTL')
    shrunk = shrunk + 1
  end
end
return shrunk
