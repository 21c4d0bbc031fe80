-- Write a tenant's limits and keys, unless Valkey has a newer generation. So publishers need no lock.
-- KEYS: published generation, limits, then one hash for each key
-- ARGV: generation, when the limits expire in Unix milliseconds ('': never), how long a dead key is kept in
--       milliseconds, the limits as JSON, then each key as JSON
local published = KEYS[1]
local limits = KEYS[2]
local generation = tonumber(ARGV[1])
local expires_at = ARGV[2]
local kept = tonumber(ARGV[3])
local call = redis.call

local present = tonumber(call('GET', published) or '') or -1
if present > generation then return 0 end
-- It expires, because generations begin lower after a restored backup. No publisher is an hour late.
call('SET', published, ARGV[1], 'PX', 3600000)

local function write(name, fields)
  for field, value in pairs(cjson.decode(fields)) do call('HSET', name, field, value) end
end
write(limits, ARGV[4])
if expires_at == '' then call('PERSIST', limits) else call('PEXPIREAT', limits, expires_at) end
for i = 3, #KEYS do
  write(KEYS[i], ARGV[i + 2])
  -- A request with a dead key that expired publishes it again, so it stays dead for as long as anybody tries it.
  if call('HGET', KEYS[i], 'state') == 'live' then call('PERSIST', KEYS[i]) else call('PEXPIRE', KEYS[i], kept) end
end
return 1
