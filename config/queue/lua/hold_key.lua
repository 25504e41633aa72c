-- Change what an Idempotency-Key holds, for the request that holds it: a key that another request holds is left alone.
-- One that nobody holds (the mark ran out while its owner was busy) is the caller's again.
--
-- KEYS: 1 the key. ARGV: 1 the caller's mark, 2 the new content ('' frees the key), 3 its lifetime in ms.
-- Returns 1 when it was done, 0 when another request holds the key.
local stored = redis.call('GET', KEYS[1])
if stored and stored ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
