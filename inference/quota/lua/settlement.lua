-- Releases a hold, charges what was used and appends the usage event: once a request id, the first call wins.
-- KEYS: hold, leases, account, bucket, stream
-- ARGV: request id, tenant id, prompt, cached and completion tokens, cost in nano-USD, finish reason, outcome,
--       route and engine ('': those of the last heartbeat), 'sweep' when a sweeper calls: it acts only if the lease
--       is over; what is said of the watermark, the SHA-256 of the answer's text, what prescribed it
-- Returns 1 if this call settled, 2 if a sweeper had, 0 if there is no such hold. A request without tokens
-- is an event only after an engine's failure. The hold of a swept request stays for an hour, in case its gateway was
-- only slow: what the sweeper billed stands, and a request that had no count yet is billed now.
local hold_key, leases_key, account_key, bucket_key, stream_key = unpack(KEYS)
local request_id, tenant = ARGV[1], ARGV[2]
local used_now, cost = tonumber(ARGV[3]) + tonumber(ARGV[5]), tonumber(ARGV[6])
local outcome, is_sweep = ARGV[8], ARGV[11] == 'sweep'
local call = redis.call

if is_sweep then
  local time = call('TIME')
  local lease = call('ZSCORE', leases_key, tenant .. ' ' .. request_id)
  if lease and tonumber(lease) > time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
end
local hold = call('HMGET', hold_key, 'key', 'period', 'tokens', 'nanousd', 'admitted_ms', 'route', 'prices', 'swept',
  'engine', 'sequences')
call('ZREM', leases_key, tenant .. ' ' .. request_id)
if not hold[1] then return 0 end
local swept = tonumber(hold[8])
if swept and (swept > 0 or used_now == 0 or is_sweep) then return 2 end
if is_sweep then
  call('HSET', hold_key, 'swept', used_now)
  call('PEXPIRE', hold_key, 3600000)
else
  call('DEL', hold_key)
end

local key, tokens, nanousd, open = hold[1], tonumber(hold[3]), tonumber(hold[4]), tonumber(hold[10])
if swept then tokens, nanousd, open = 0, 0, 0 end -- its hold was released
local used_k, spent_k, held_k, reserved_k = 'used:' .. key, 'spent:' .. key, 'held:' .. key, 'reserved:' .. key
local sums = call('HMGET', account_key, 'used', 'spent', 'held', 'reserved', used_k, spent_k, held_k, reserved_k)
local function sum(i) return tonumber(sums[i]) or 0 end
if sums[1] then
  call('HSET', account_key, 'used', sum(1) + used_now, 'spent', sum(2) + cost, 'held', sum(3) - tokens,
    'reserved', sum(4) - nanousd, used_k, sum(5) + used_now, spent_k, sum(6) + cost, held_k, sum(7) - tokens,
    reserved_k, sum(8) - nanousd)
else -- to be rebuilt from the ledger, to which this event is on its way
  call('HSET', account_key, 'held', sum(3) - tokens, 'reserved', sum(4) - nanousd, held_k, sum(7) - tokens,
    reserved_k, sum(8) - nanousd)
end

-- What was held and not used goes back to the minute's buckets; admission cuts them to the limit
-- and reads '' as full: there is no limit, or nothing was held by it yet.
local open_k, tokens_k, unused = 'open:' .. key, 'tokens:' .. key, tokens - used_now
local bucket = call('HMGET', bucket_key, 'open', open_k, 'tokens', tokens_k)
local level, key_level = tonumber(bucket[3]), tonumber(bucket[4])
call('HSET', bucket_key, 'open', (tonumber(bucket[1]) or open) - open, open_k, (tonumber(bucket[2]) or open) - open,
  'tokens', level and level + unused or '', tokens_k, key_level and key_level + unused or '')
if used_now == 0 and outcome ~= 'upstream_error' then return 1 end
local route, engine = ARGV[9], ARGV[10]
if route == '' then route, engine = hold[6] or '', hold[9] or '' end
call('XADD', stream_key, '*', 'request', request_id, 'tenant', tenant, 'key', key, 'period', hold[2],
  'admitted_ms', hold[5], 'route', route, 'engine', engine, 'prices', hold[7], 'prompt', ARGV[3],
  'cached', ARGV[4], 'completion', ARGV[5], 'cost', ARGV[6], 'finish', ARGV[7], 'outcome', outcome,
  'watermark', ARGV[12], 'text', ARGV[13], 'constrained', ARGV[14])
return 1
