-- An attempt ended without a result, and the worker knows why: note the reason, let the next one be due soon.
--
-- KEYS: 1 inbox entry, 2 inbox-due set, 3 dead-letters set.
-- ARGV: 1 entry id, 2 the attempt that ended, 3 most attempts, or 0 to give this attempt back (what the work needs is
-- not there, or the broker was lost: the work itself did not fail), 4 seconds until the next attempt is due, 5 reason.
-- Returns 1 when this was the last attempt and the entry became a dead letter, else 0.
local attempts, dead = unpack(redis.call('HMGET', KEYS[1], 'attempts', 'dead_ms'))
if not attempts or dead then return 0 end
redis.call('HSET', KEYS[1], 'failure', ARGV[5])
local most = tonumber(ARGV[3])
if most == 0 and tonumber(attempts) > 0 then
  redis.call('HINCRBY', KEYS[1], 'attempts', -1)
  redis.call('HINCRBY', KEYS[1], 'deferrals', 1)
end
-- A later attempt is at work already: its lease counts, not this one's delay.
if tonumber(attempts) ~= tonumber(ARGV[2]) then return 0 end
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
if most > 0 and tonumber(attempts) >= most then
  redis.call('HSET', KEYS[1], 'dead_ms', string.format('%d', now_ms))
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], clock[1], ARGV[1])
  return 1
end
redis.call('ZADD', KEYS[2], string.format('%.3f', now_ms / 1000 + tonumber(ARGV[4])), ARGV[1])
return 0
