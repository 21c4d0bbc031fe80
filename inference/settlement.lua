-- Releases a hold, charges what was used and appends the usage event: once a request id, whoever comes first.
-- KEYS: hold, leases, account, bucket, stream
-- ARGV: request id, tenant id, prompt, cached and completion tokens, cost in nano-USD, finish reason, outcome,
--       'sweep' when a sweeper calls: it acts only if the lease is over
-- Returns 1 if this call settled, 0 if there was nothing (left) to settle. Without tokens there is no event.
local hold_key, leases_key, account_key, bucket_key, stream_key = unpack(KEYS)
local request, tenant = ARGV[1], ARGV[2]
local used_now, cost = tonumber(ARGV[3]) + tonumber(ARGV[5]), tonumber(ARGV[6])
local call = redis.call

if ARGV[9] == 'sweep' then
  local time = call('TIME')
  local lease = call('ZSCORE', leases_key, tenant .. ' ' .. request)
  if lease and tonumber(lease) > time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
end
local hold = call('HMGET', hold_key, 'key', 'period', 'tokens', 'nanousd', 'admitted_ms', 'route', 'prices')
call('ZREM', leases_key, tenant .. ' ' .. request)
if not hold[1] then return 0 end
call('DEL', hold_key)

local key, tokens, nanousd = hold[1], tonumber(hold[3]), tonumber(hold[4])
local used_k, spent_k, held_k, reserved_k = 'used:' .. key, 'spent:' .. key, 'held:' .. key, 'reserved:' .. key
local a = call('HMGET', account_key, 'used', 'spent', 'held', 'reserved', used_k, spent_k, held_k, reserved_k)
local function n(i) return tonumber(a[i]) or 0 end
if a[1] then
  call('HSET', account_key, 'used', n(1) + used_now, 'spent', n(2) + cost, 'held', n(3) - tokens,
    'reserved', n(4) - nanousd, used_k, n(5) + used_now, spent_k, n(6) + cost, held_k, n(7) - tokens,
    reserved_k, n(8) - nanousd)
else -- to be rebuilt from the ledger, to which this event is on its way
  call('HSET', account_key, 'held', n(3) - tokens, 'reserved', n(4) - nanousd, held_k, n(7) - tokens,
    reserved_k, n(8) - nanousd)
end

-- What was asked for and not used comes back to the minute's buckets; admission cuts it to the limit.
local open_k, tokens_k, unused = 'open:' .. key, 'tokens:' .. key, tokens - used_now
local b = call('HMGET', bucket_key, 'open', open_k, 'tokens', tokens_k)
call('HSET', bucket_key, 'open', (tonumber(b[1]) or 1) - 1, open_k, (tonumber(b[2]) or 1) - 1)
if b[3] then call('HSET', bucket_key, 'tokens', tonumber(b[3]) + unused) end
if b[4] then call('HSET', bucket_key, tokens_k, tonumber(b[4]) + unused) end
if used_now == 0 then return 1 end
call('XADD', stream_key, '*', 'request', request, 'tenant', tenant, 'key', key, 'period', hold[2],
  'admitted_ms', hold[5], 'route', hold[6], 'prices', hold[7], 'prompt', ARGV[3], 'cached', ARGV[4],
  'completion', ARGV[5], 'cost', ARGV[6], 'finish', ARGV[7], 'outcome', ARGV[8])
return 1
