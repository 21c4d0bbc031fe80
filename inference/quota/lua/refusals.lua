-- Counts the refusals of one client within a minute.
-- KEYS: refusals. ARGV: what this one counts, how many a minute are allowed.
-- Returns for how many ms more everything is refused: 0 while the client is within its minute's refusals.
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], 60000) end
if count <= tonumber(ARGV[2]) then return 0 end
return redis.call('PTTL', KEYS[1])
