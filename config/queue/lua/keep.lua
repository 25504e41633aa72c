-- Some of what an entry holds is done: it keeps the rest.
--
-- KEYS: 1 inbox entry. ARGV: 1 the attempt at work, 2 the rest as payload.
-- Returns 1, or 0 when it is not this attempt's any more: finished, given up, or a later attempt is at work.
local attempts, dead = unpack(redis.call('HMGET', KEYS[1], 'attempts', 'dead_ms'))
if dead or attempts ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2])
return 1
