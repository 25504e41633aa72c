-- Forget a dead letter for good, and what its transaction saw of history, so that its id is unknown again.
--
-- KEYS: 1 inbox entry, 2 dead-letters set, 3 seen. ARGV: 1 entry id.
-- Returns 1, or 0 when there is no such dead letter (any more).
-- include forget_entry
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
forget_entry(KEYS[1], KEYS[3])
return 1
