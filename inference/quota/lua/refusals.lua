-- Counts what was refused to one caller within a minute.
-- KEYS: refusals. ARGV: what this one counts, how many are let through a minute.
-- Returns for how many ms more everything is refused: 0 while the caller is within its minute's refusals.
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], 60000) end
if count <= tonumber(ARGV[2]) then return 0 end
return redis.call('PTTL', KEYS[1])
