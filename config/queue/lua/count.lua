-- Count against a budget, in a window that begins with its first count and ends by this server's clock.
--
-- KEYS: 1 the counter. ARGV: 1 how many, 2 the window in ms.
-- Returns what the window has counted so far, and how many ms it goes on.
local counted = redis.call('INCRBY', KEYS[1], ARGV[1])
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left_ms = tonumber(ARGV[2])
end
return {counted, left_ms}
