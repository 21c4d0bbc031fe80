-- Checks every limit of a request and takes every hold, or changes nothing.
-- KEYS: limits, key, styles, used, held, bucket, open, hold, leases
-- ARGV: request id, tenant id, key id, model name, prompt tokens (upper bound), output tokens asked (0: default),
--       choices asked, period, lease in ms, 1 if the prompt was counted exactly
-- Returns a flat array that begins with the verdict: admitted, cold, denied, unknown_model, loading, crude, limited.
local limits_key, key_key, styles_key, used_key, held_key, bucket_key, open_key, hold_key, leases_key = unpack(KEYS)
local request, tenant, key, model = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local prompt, asked, choices = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local period, lease_ms, exact = ARGV[8], tonumber(ARGV[9]), ARGV[10] == '1'

local function hash(name)
  local flat, map = redis.call('HGETALL', name), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limits, api_key = hash(limits_key), hash(key_key)
local used = redis.call('HMGET', used_key, 'tokens', 'tokens:' .. key)
if not limits.state or not api_key.state or not used[1] or redis.call('EXISTS', styles_key) == 0 then
  return {'cold'}
end
if limits.state ~= 'live' then return {'denied', 'suspended'} end
if api_key.state ~= 'live' then return {'denied', 'revoked'} end
if api_key.expires_at ~= '' and tonumber(api_key.expires_at) * 1000 <= now then return {'denied', 'expired'} end

local route_json = redis.call('HGET', styles_key, model)
if not route_json then return {'unknown_model'} end
local route = cjson.decode(route_json)
if api_key.styles ~= '' and route.style ~= cjson.null
    and not string.find(',' .. api_key.styles .. ',', ',' .. route.style .. ',', 1, true) then
  return {'unknown_model'}
end
if route.state == 'loading' then return {'loading'} end

local per_request = tonumber(limits.max_output_tokens)
local output = per_request
if asked > 0 then
  output = math.min(asked, per_request)
else
  local room = route.max_model_len - prompt
  if room < per_request and not exact then return {'crude'} end
  output = math.max(1, math.min(per_request, room))
end
local hold = prompt + output * choices

local requests_max, tokens_max = tonumber(limits.requests_per_minute), tonumber(limits.tokens_per_minute)
local levels = redis.call('HMGET', bucket_key, 'requests', 'tokens', 'at')
local elapsed = now - (tonumber(levels[3]) or now)
local requests = math.min(requests_max, (tonumber(levels[1]) or requests_max) + elapsed * requests_max / 60000)
local tokens = math.min(tokens_max, (tonumber(levels[2]) or tokens_max) + elapsed * tokens_max / 60000)

local function limited(limit, retry_ms, limit_value, left)
  return {'limited', limit, math.ceil(retry_ms), limit_value, left,
    requests_max, math.floor(requests), math.ceil((requests_max - requests) * 60000 / requests_max),
    tokens_max, math.floor(tokens), math.ceil((tokens_max - tokens) * 60000 / tokens_max), hold}
end

local cap, used_tokens = tonumber(limits.monthly_tokens), tonumber(used[1])
local held = redis.call('HMGET', held_key, 'tokens', 'tokens:' .. key)
if used_tokens + hold > cap then return limited('month', 0, cap, math.max(0, cap - used_tokens)) end
if used_tokens + (tonumber(held[1]) or 0) + hold > cap then
  return limited('month_in_flight', 2000, cap, math.max(0, cap - used_tokens))
end
if api_key.monthly_tokens ~= '' then
  local key_cap, key_used = tonumber(api_key.monthly_tokens), tonumber(used[2]) or 0
  if key_used + hold > key_cap then return limited('key_month', 0, key_cap, math.max(0, key_cap - key_used)) end
  if key_used + (tonumber(held[2]) or 0) + hold > key_cap then
    return limited('key_month_in_flight', 2000, key_cap, math.max(0, key_cap - key_used))
  end
end
local parallel = tonumber(limits.parallel_requests)
if redis.call('ZCOUNT', open_key, now, '+inf') >= parallel then return limited('parallel', 1000, parallel, 0) end
if requests < 1 then
  return limited('requests', (1 - requests) * 60000 / requests_max, requests_max, 0)
end
if hold > tokens_max then return limited('tokens_too_large', 0, tokens_max, math.floor(tokens)) end
if tokens < hold then
  return limited('tokens', (hold - tokens) * 60000 / tokens_max, tokens_max, math.floor(tokens))
end

requests, tokens = requests - 1, tokens - hold
redis.call('HSET', bucket_key, 'requests', tostring(requests), 'tokens', tostring(tokens), 'at', now)
redis.call('PEXPIRE', bucket_key, 120000)
redis.call('HINCRBY', held_key, 'tokens', hold)
redis.call('HINCRBY', held_key, 'tokens:' .. key, hold)
redis.call('ZADD', open_key, now + lease_ms, request)
redis.call('ZADD', leases_key, now + lease_ms, tenant .. ' ' .. request)
redis.call('HSET', hold_key, 'tokens', hold, 'key', key, 'period', period, 'admitted_ms', now, 'route', route_json,
  'input_nanousd', limits.input_nanousd, 'cached_input_nanousd', limits.cached_input_nanousd,
  'output_nanousd', limits.output_nanousd, 'prompt', 0, 'cached', 0, 'completion', 0)
return {'admitted', route_json, output, hold, now,
  limits.input_nanousd, limits.cached_input_nanousd, limits.output_nanousd,
  requests_max, math.floor(requests), math.ceil((requests_max - requests) * 60000 / requests_max),
  tokens_max, math.floor(tokens), math.ceil((tokens_max - tokens) * 60000 / tokens_max)}
