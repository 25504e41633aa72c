-- The decision of a stored result: behind its digest; or, of a batch's row, in the payload of its chunk (a reference
-- '@key first length' stands there); '' where only the ledger has it.
local function decision_of(stored)
  local key, first, length = string.match(stored, '^@(%S+) (%d+) (%d+)$', 17)
  if not key then return string.sub(stored, 17) end
  return redis.call('GETRANGE', key, first, first + length - 1)
end
