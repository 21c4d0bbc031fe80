-- Write a tenant's limits and keys, unless Valkey has a newer generation. So publishers need no lock.
-- Returns '' once they are written, else the newer generation.
-- KEYS: published generation, limits, then one hash for each key
-- ARGV: generation, when the limits expire in Unix milliseconds ('': never), the limits as JSON, then of each key
--       when it expires likewise, and the key as JSON
local published = KEYS[1]
local limits = KEYS[2]
local generation = tonumber(ARGV[1])
local call = redis.call

local present = tonumber(call('GET', published) or '') or -1
if present > generation then return tostring(present) end
-- It expires, because generations begin lower after a restored backup. No publisher is an hour late.
call('SET', published, ARGV[1], 'PX', 3600000)

local function write(name, expires_at, fields)
  for field, value in pairs(cjson.decode(fields)) do call('HSET', name, field, value) end
  if expires_at == '' then call('PERSIST', name) else call('PEXPIREAT', name, expires_at) end
end
write(limits, ARGV[2], ARGV[3])
-- A request with a dead key that Valkey has dropped publishes it again, so it stays dead while anybody tries it.
for i = 3, #KEYS do write(KEYS[i], ARGV[2 * i - 2], ARGV[2 * i - 1]) end
return ''
