-- Releases a hold, charges what was used and appends the usage event: once a request id, whoever comes first.
-- KEYS: hold, leases, used, held, bucket, stream
-- ARGV: request id, tenant id, prompt, cached and completion tokens, cost in nano-USD, finish reason, outcome,
--       'sweep' when a sweeper calls: it acts only if the lease is over
-- Returns 1 if this call settled, 0 if there was nothing (left) to settle. Without tokens there is no event.
local hold_key, leases_key, used_key, held_key, bucket_key, stream_key = unpack(KEYS)
local request, tenant, cost = ARGV[1], ARGV[2], tonumber(ARGV[6])
local used_tokens = tonumber(ARGV[3]) + tonumber(ARGV[5])
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

local of_key, tokens, nanousd = ':' .. hold[1], tonumber(hold[3]), tonumber(hold[4])
local function add(name, fields, changes, only_present)
  local values, written = call('HMGET', name, unpack(fields)), {}
  for i, field in ipairs(fields) do
    if values[i] or not only_present then
      written[#written + 1], written[#written + 2] = field, (tonumber(values[i]) or 0) + changes[i]
    end
  end
  if #written > 0 then call('HSET', name, unpack(written)) end
end
local money = {'tokens', 'nanousd', 'tokens' .. of_key, 'nanousd' .. of_key}
add(held_key, money, {-tokens, -nanousd, -tokens, -nanousd})
-- What was asked for and not used comes back to the minute's bucket; admission cuts it to the limit.
local unused = tokens - used_tokens
add(bucket_key, {'open', 'open' .. of_key, 'tokens', 'tokens' .. of_key}, {-1, -1, unused, unused}, true)
if used_tokens == 0 then return 1 end
if call('HEXISTS', used_key, 'tokens') == 1 then
  add(used_key, money, {used_tokens, cost, used_tokens, cost})
end
call('XADD', stream_key, '*', 'request', request, 'tenant', tenant, 'key', hold[1], 'period', hold[2],
  'admitted_ms', hold[5], 'route', hold[6], 'prices', hold[7], 'prompt', ARGV[3], 'cached', ARGV[4],
  'completion', ARGV[5], 'cost', ARGV[6], 'finish', ARGV[7], 'outcome', ARGV[8])
return 1
