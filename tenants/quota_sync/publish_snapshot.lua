-- Writes a tenant's limits and keys, unless newer ones are there: so no lock keeps publishers apart.
-- KEYS: published, limits, then one hash for each key
-- ARGV: the tenant's change up to which these are, the limits' end in Unix milliseconds ('': none), how long a dead key
--       is kept in milliseconds, the limits as JSON, then each key as JSON
local published, limits = KEYS[1], KEYS[2]
local change, ends, kept = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local call = redis.call
if (tonumber(call('GET', published) or '') or -1) > change then return 0 end
-- No publisher is an hour late; and after a restored backup the count begins lower.
call('SET', published, ARGV[1], 'PX', 3600000)

local function write(name, fields)
  for field, value in pairs(cjson.decode(fields)) do call('HSET', name, field, value) end
end
write(limits, ARGV[4])
if ends == '' then call('PERSIST', limits) else call('PEXPIREAT', limits, ends) end
for i = 3, #KEYS do
  write(KEYS[i], ARGV[i + 2])
  -- One that is asked for again is published again: it stays dead for as long as anybody tries it.
  if call('HGET', KEYS[i], 'state') == 'live' then call('PERSIST', KEYS[i]) else call('PEXPIRE', KEYS[i], kept) end
end
return 1
