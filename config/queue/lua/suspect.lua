-- A row of a chunk is about to be tried alone, or none is under way any more.
--
-- KEYS: 1 inbox entry of the chunk. ARGV: 1 number of the row, a space, its deaths with this one ('0 0' for none),
-- 2 attempts that the chunk has used up.
-- Returns 1, or 0 when there is no such entry: another worker finished the chunk meanwhile, and nothing may be left of it.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'suspect', ARGV[1], 'attempts', ARGV[2])
return 1
