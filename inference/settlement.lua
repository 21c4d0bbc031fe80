-- Releases a hold, charges what was used and appends the usage event: once a request id, whoever comes first.
-- KEYS: hold, open, leases, used, held, bucket, limits, stream
-- ARGV: request id, tenant id, tokens used, cost in nano-USD, event as JSON ('' bills nothing and tells nobody),
--       'sweep' when a sweeper calls: it acts only if the lease is over
-- Returns 1 if this call settled, 0 if there was nothing (left) to settle.
local hold_key, open_key, leases_key, used_key, held_key, bucket_key, limits_key, stream_key = unpack(KEYS)
local request, tenant, tokens, cost, event = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local hold = redis.call('HMGET', hold_key, 'tokens', 'key')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[6] == 'sweep' then
  local lease = redis.call('ZSCORE', leases_key, tenant .. ' ' .. request)
  if lease and tonumber(lease) > now then return 0 end
end
redis.call('ZREM', open_key, request)
redis.call('ZREM', leases_key, tenant .. ' ' .. request)
if not hold[1] then
  -- Valkey forgot the hold while the request ran (a flush). The event must not be lost; PostgreSQL keeps
  -- one a request id, so telling it twice does no harm, and the counters are rebuilt from the ledger.
  if event ~= '' and ARGV[6] ~= 'sweep' then redis.call('XADD', stream_key, '*', 'event', event) end
  return 0
end

local held, key = tonumber(hold[1]), hold[2]
redis.call('DEL', hold_key)
redis.call('HINCRBY', held_key, 'tokens', -held)
redis.call('HINCRBY', held_key, 'tokens:' .. key, -held)
if redis.call('HEXISTS', used_key, 'tokens') == 1 then
  redis.call('HINCRBY', used_key, 'tokens', tokens)
  redis.call('HINCRBY', used_key, 'tokens:' .. key, tokens)
  redis.call('HINCRBY', used_key, 'nanousd', cost)
end
local level = tonumber(redis.call('HGET', bucket_key, 'tokens'))
local most = tonumber(redis.call('HGET', limits_key, 'tokens_per_minute'))
if level and most then redis.call('HSET', bucket_key, 'tokens', tostring(math.min(most, level + held - tokens))) end
if event ~= '' then redis.call('XADD', stream_key, '*', 'event', event) end
return 1
