-- Checks every limit of a request, the tenant's and its key's, and takes every hold, or changes nothing.
-- KEYS: limits, key, styles, used, held, bucket, hold, leases
-- ARGV: request id, tenant id, key id, model name, prompt tokens (upper bound), output tokens asked (0: default),
--       choices asked, period, its first and its end's millisecond, lease in ms, 1 if the prompt was counted exactly
-- Returns a flat array that begins with the verdict: admitted, cold, other_month, denied, unknown_model, loading,
-- crude, limited. An absent or empty limit of a key (or of spending) means that there is none.
local limits_key, key_key, styles_key, used_key, held_key, bucket_key, hold_key, leases_key = unpack(KEYS)
local request, tenant, key, model = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local prompt, asked, choices = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local period, lease_ms, exact = ARGV[8], tonumber(ARGV[11]), ARGV[12] == '1'
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(ARGV[9]) or now >= tonumber(ARGV[10]) then return {'other_month', now} end

-- A field of the tenant, and the same of its key, stand side by side.
local function both(name, ...)
  local fields = {}
  for i = 1, select('#', ...) do
    local field = select(i, ...)
    fields[2 * i - 1], fields[2 * i] = field, field .. ':' .. key
  end
  return call('HMGET', name, unpack(fields))
end

local limits = call('HMGET', limits_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
  'requests_per_minute', 'tokens_per_minute', 'max_output_tokens', 'weight',
  'input_nanousd', 'cached_input_nanousd', 'output_nanousd')
local api_key = call('HMGET', key_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
  'requests_per_minute', 'tokens_per_minute', 'expires_at', 'styles')
local used = both(used_key, 'tokens', 'nanousd')
local route_json = call('HGET', styles_key, model)
if not limits[1] or not api_key[1] or not used[1]
    or (not route_json and call('EXISTS', styles_key) == 0) then
  return {'cold'}
end
if limits[1] ~= 'live' then return {'denied', 'suspended'} end
if api_key[1] ~= 'live' then return {'denied', 'revoked'} end
if api_key[7] and api_key[7] ~= '' and tonumber(api_key[7]) * 1000 <= now then return {'denied', 'expired'} end

if not route_json then return {'unknown_model'} end
local route = cjson.decode(route_json)
local only = api_key[8] or ''
if only ~= '' and (route.style == cjson.null
    or not string.find(',' .. only .. ',', ',' .. route.style .. ',', 1, true)) then
  return {'unknown_model'}
end
if route.state == 'loading' then return {'loading'} end

local output = tonumber(limits[7])
if asked > 0 then
  output = math.min(asked, output)
else
  local room = route.max_model_len - prompt
  if room < output and not exact then return {'crude'} end
  output = math.max(1, math.min(output, room))
end
local input_price = math.max(tonumber(limits[9]), tonumber(limits[10]))
local tokens = prompt + output * choices
local nanousd = prompt * input_price + output * choices * tonumber(limits[11])

local held = both(held_key, 'tokens', 'nanousd')
local bucket = both(bucket_key, 'open', 'at', 'requests', 'tokens')
local function account(scope, limit, side)
  local function number(list, i) return tonumber(list[2 * i - 2 + side]) end
  local its = {
    scope = scope, tokens_cap = tonumber(limit[2]), nanousd_cap = tonumber(limit[3]),
    parallel = tonumber(limit[4]), requests_max = tonumber(limit[5]), tokens_max = tonumber(limit[6]),
    tokens_used = number(used, 1) or 0, nanousd_used = number(used, 2) or 0,
    tokens_held = number(held, 1) or 0, nanousd_held = number(held, 2) or 0, open = number(bucket, 1) or 0,
  }
  local elapsed = now - (number(bucket, 2) or now)
  local function level(i, max) return max and math.min(max, (number(bucket, i) or max) + elapsed * max / 60000) end
  its.requests, its.tokens = level(3, its.requests_max), level(4, its.tokens_max)
  return its
end
local accounts = {account('workspace', limits, 1), account('key', api_key, 2)}

-- What the headers tell is the tighter of the two accounts.
local function tightest(left, max)
  local t = accounts[1]
  if accounts[2][max] and accounts[2][left] < t[left] then t = accounts[2] end
  return t[max], math.floor(t[left]), math.ceil((t[max] - t[left]) * 60000 / t[max])
end
local function rates()
  local a, b, c = tightest('requests', 'requests_max')
  local d, e, f = tightest('tokens', 'tokens_max')
  return a, b, c, d, e, f
end
local function limited(its, limit, retry_ms, allowed, left)
  return {'limited', limit, its.scope, math.ceil(retry_ms), allowed, math.floor(math.max(0, left)),
    tokens, nanousd, rates()}
end

for _, its in ipairs(accounts) do
  if its.tokens_cap and its.tokens_used + tokens > its.tokens_cap then
    return limited(its, 'tokens_spent', 0, its.tokens_cap, its.tokens_cap - its.tokens_used)
  end
  if its.nanousd_cap and its.nanousd_used + nanousd > its.nanousd_cap then
    return limited(its, 'nanousd_spent', 0, its.nanousd_cap, its.nanousd_cap - its.nanousd_used)
  end
  if its.tokens_max and tokens > its.tokens_max then
    return limited(its, 'tokens_too_large', 0, its.tokens_max, its.tokens)
  end
end
for _, its in ipairs(accounts) do
  if its.tokens_cap and its.tokens_used + its.tokens_held + tokens > its.tokens_cap then
    return limited(its, 'tokens_in_flight', 2000, its.tokens_cap, its.tokens_cap - its.tokens_used)
  end
  if its.nanousd_cap and its.nanousd_used + its.nanousd_held + nanousd > its.nanousd_cap then
    return limited(its, 'nanousd_in_flight', 2000, its.nanousd_cap, its.nanousd_cap - its.nanousd_used)
  end
  if its.parallel and its.open >= its.parallel then return limited(its, 'parallel', 1000, its.parallel, 0) end
  if its.requests_max and its.requests < 1 then
    return limited(its, 'requests', (1 - its.requests) * 60000 / its.requests_max, its.requests_max, 0)
  end
  if its.tokens_max and its.tokens < tokens then
    return limited(its, 'tokens', (tokens - its.tokens) * 60000 / its.tokens_max, its.tokens_max, its.tokens)
  end
end

local held_now, bucket_now = {}, {}
for side, its in ipairs(accounts) do
  local of = side == 2 and ':' .. key or ''
  for _, pair in ipairs({{'tokens', its.tokens_held + tokens}, {'nanousd', its.nanousd_held + nanousd}}) do
    held_now[#held_now + 1], held_now[#held_now + 2] = pair[1] .. of, pair[2]
  end
  bucket_now[#bucket_now + 1], bucket_now[#bucket_now + 2] = 'open' .. of, its.open + 1
  if its.requests_max then
    its.requests = its.requests - 1
    bucket_now[#bucket_now + 1], bucket_now[#bucket_now + 2] = 'requests' .. of, its.requests
  end
  if its.tokens_max then
    its.tokens = its.tokens - tokens
    bucket_now[#bucket_now + 1], bucket_now[#bucket_now + 2] = 'tokens' .. of, its.tokens
  end
  bucket_now[#bucket_now + 1], bucket_now[#bucket_now + 2] = 'at' .. of, now
end
call('HSET', held_key, unpack(held_now))
call('HSET', bucket_key, unpack(bucket_now))
call('ZADD', leases_key, now + lease_ms, tenant .. ' ' .. request)
local prices = limits[9] .. ' ' .. limits[10] .. ' ' .. limits[11]
call('HSET', hold_key, 'key', key, 'period', period, 'tokens', tokens, 'nanousd', nanousd,
  'admitted_ms', now, 'route', route_json, 'prices', prices, 'usage', '0 0 0')
return {'admitted', route_json, output, tokens, nanousd, now, prices, tonumber(limits[8]) or 1, rates()}
