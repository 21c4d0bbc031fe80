-- Checks every limit of a request, the workspace's and its key's, and takes every hold, or changes nothing.
-- KEYS: limits, key, styles, account, bucket, hold, leases, suspect
-- ARGV: request id, tenant id, key id, model name, prompt tokens (upper bound), output tokens asked (0: default),
--       sequences (prompts times choices), period, its first and its end's millisecond, lease in ms, 1 if the prompt was counted exactly,
--       the caller's bucket for canaries (0 … 99), prompt tokens (lower bound)
-- Returns a flat array that begins with the verdict: admitted, cold, other_month, denied, suspect, sequences,
-- unknown_model, too_long, loading, crude (an exact count of the prompt could change the answer), limited. An absent or empty limit
-- (of a key, of spending) means that there is none.
-- It runs for every request: plain locals instead of tables halve its time.
local limits_key, key_key, styles_key, account_key, bucket_key, hold_key, leases_key, suspect_key = unpack(KEYS)
local request, tenant, key, model = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local prompt, asked, choices, period = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local call, floor, ceil, min, max = redis.call, math.floor, math.ceil, math.min, math.max

local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
if now < tonumber(ARGV[9]) or now >= tonumber(ARGV[10]) then return {'other_month', now} end

local limits = call('HMGET', limits_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
  'requests_per_minute', 'tokens_per_minute', 'max_output_tokens', 'weight',
  'input_nanousd', 'cached_input_nanousd', 'output_nanousd', 'sequences_per_request')
local api_key = call('HMGET', key_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
  'requests_per_minute', 'tokens_per_minute', 'expires_at', 'styles')
local used_k, spent_k, held_k, reserved_k = 'used:' .. key, 'spent:' .. key, 'held:' .. key, 'reserved:' .. key
local account = call('HMGET', account_key, 'used', 'spent', 'held', 'reserved', used_k, spent_k, held_k, reserved_k)
local led = call('HMGET', styles_key, model, 'canary:' .. model)
local field, route, canary = model, led[1], led[2]
if not limits[1] or not api_key[1] or not account[1] or (not route and call('EXISTS', styles_key) == 0) then
  return {'cold'}
end
if limits[1] ~= 'live' then return {'denied', 'suspended'} end
if api_key[1] ~= 'live' then return {'denied', 'revoked'} end
local expires_at, only = tonumber(api_key[7]), api_key[8] or ''
if expires_at and expires_at * 1000 <= now then return {'denied', 'expired'} end
local suspected_ms = call('PTTL', suspect_key)
if suspected_ms > 0 then return {'suspect', suspected_ms} end
local most_sequences = tonumber(limits[12]) or 16 -- published before there was such a limit
if choices > most_sequences then return {'sequences', most_sequences} end

local function is_loading(route) return string.find(route, '"state": "loading"', 1, true) end

-- A canary is its share of the callers in percent, and its name; one that has just ended leads nowhere, and
-- nobody waits for one that is on its way to an engine.
if canary then
  local percent, name = string.match(canary, '^(%d+) (.+)$')
  local other = tonumber(ARGV[13]) < tonumber(percent) and call('HGET', styles_key, name)
  if other and not is_loading(other) then field, route = name, other end
end

-- Routes are JSON of our own making; a quote inside a value is escaped, so these can only be the fields.
if not route or string.sub(route, 1, 1) ~= '{' then return {'unknown_model'} end
if only ~= '' then
  local style = string.match(route, '"style": "([^"]+)"')
  if not style or not string.find(only, style, 1, true) then return {'unknown_model'} end
end
local is_cold = is_loading(route)
-- What is on no engine does not say how long it can be: as long as the base model.
local told = is_cold and call('HGET', styles_key, 'base') or route
local context = tonumber(string.match(told, '"max_model_len": (%d+)'))
local is_exact, least = ARGV[12] == '1', tonumber(ARGV[14])
if context and least >= context then return {'too_long', context} end

local output, is_cut = tonumber(limits[7]), false
if asked > 0 then
  output = min(asked, output)
else
  local room = (context or 0) - prompt
  is_cut = room < output
  output = max(1, min(output, room))
end
local tokens, nanousd
local function need(prompt)
  tokens = prompt + output * choices
  nanousd = prompt * max(tonumber(limits[9]), tonumber(limits[10])) + output * choices * tonumber(limits[11])
end

local at_k, open_k, requests_k, tokens_k = 'at:' .. key, 'open:' .. key, 'requests:' .. key, 'tokens:' .. key
local bucket = call('HMGET', bucket_key, 'at', 'open', 'requests', 'tokens', at_k, open_k, requests_k, tokens_k)

-- One account's numbers: caps, what is used, held and open, and how full its minute buckets are now.
local function numbers(limit, used, spent, held, reserved, at, open, requests, level)
  local most_requests, most_tokens = tonumber(limit[5]), tonumber(limit[6])
  local elapsed = now - (tonumber(at) or now)
  return tonumber(limit[2]), tonumber(limit[3]), tonumber(limit[4]), most_requests, most_tokens,
    tonumber(used) or 0, tonumber(spent) or 0, tonumber(held) or 0, tonumber(reserved) or 0, tonumber(open) or 0,
    most_requests and min(most_requests, (tonumber(requests) or most_requests) + elapsed * most_requests / 60000),
    most_tokens and min(most_tokens, (tonumber(level) or most_tokens) + elapsed * most_tokens / 60000)
end
local cap, budget, parallel, most_requests, most_tokens, used, spent, held, reserved, open, requests, level =
  numbers(limits, account[1], account[2], account[3], account[4], bucket[1], bucket[2], bucket[3], bucket[4])
local cap2, budget2, parallel2, most_requests2, most_tokens2, used2, spent2, held2, reserved2, open2, requests2, level2 =
  numbers(api_key, account[5], account[6], account[7], account[8], bucket[5], bucket[6], bucket[7], bucket[8])

-- What the headers tell is the tighter of the two accounts.
local function rates()
  local a, b, c, d = most_requests, requests, most_tokens, level
  if most_requests2 and requests2 < requests then a, b = most_requests2, requests2 end
  if most_tokens2 and level2 < level then c, d = most_tokens2, level2 end
  return a, floor(b), ceil((a - b) * 60000 / a), c, floor(d), ceil((c - d) * 60000 / c)
end
local function limited(scope, limit, retry_ms, allowed, left)
  return {'limited', limit, scope, ceil(retry_ms), allowed, floor(max(0, left)), tokens, nanousd, rates()}
end
-- First what waiting does not help, then what it does.
local function exhausted(scope, cap, budget, parallel, most_tokens, used, spent, level)
  if cap and used + tokens > cap then return limited(scope, 'tokens_spent', 0, cap, cap - used) end
  if budget and spent + nanousd > budget then
    return limited(scope, 'nanousd_spent', 0, budget, budget - spent)
  end
  if most_tokens and tokens > most_tokens then return limited(scope, 'tokens_too_large', 0, most_tokens, level) end
  if parallel and choices > parallel then return limited(scope, 'parallel_too_large', 0, parallel, parallel) end
end
local function busy(scope, cap, budget, parallel, most_requests, most_tokens, used, spent, held, reserved, open, requests,
    level)
  if cap and used + held + tokens > cap then return limited(scope, 'tokens_in_flight', 2000, cap, cap - used) end
  if budget and spent + reserved + nanousd > budget then
    return limited(scope, 'nanousd_in_flight', 2000, budget, budget - spent)
  end
  if parallel and open + choices > parallel then
    return limited(scope, 'parallel', 1000, parallel, parallel - open)
  end
  if most_requests and requests < 1 then
    return limited(scope, 'requests', (1 - requests) * 60000 / most_requests, most_requests, 0)
  end
  if most_tokens and level < tokens then
    return limited(scope, 'tokens', (tokens - level) * 60000 / most_tokens, most_tokens, level)
  end
end
local function refused(prompt)
  need(prompt)
  return exhausted('workspace', cap, budget, parallel, most_tokens, used, spent, level)
    or exhausted('key', cap2, budget2, parallel2, most_tokens2, used2, spent2, level2)
    or busy('workspace', cap, budget, parallel, most_requests, most_tokens, used, spent, held, reserved, open, requests,
      level)
    or busy('key', cap2, budget2, parallel2, most_requests2, most_tokens2, used2, spent2, held2, reserved2, open2,
      requests2, level2)
end
local refusal = refused(prompt)
if not is_exact and (refusal or is_cut) then
  -- Only what the shortest possible prompt would meet as well is certain.
  local certain = refused(least)
  if not certain then return {'crude'} end
  if not refusal or certain[2] ~= refusal[2] or certain[3] ~= refusal[3] then refusal = certain end
end
if refusal then return refusal end
-- Only now: who may not ask has nothing loaded, which could cost others their places.
if is_cold then return {'loading', field, route} end

requests, level = requests - 1, level - tokens
call('HSET', account_key, 'held', held + tokens, 'reserved', reserved + nanousd,
  held_k, held2 + tokens, reserved_k, reserved2 + nanousd)
call('HSET', bucket_key, 'at', now, 'open', open + choices, 'requests', requests, 'tokens', level, open_k,
  open2 + choices)
if most_requests2 or most_tokens2 then
  -- '' where there is no limit: one that is set later begins full.
  requests2, level2 = requests2 and requests2 - 1, level2 and level2 - tokens
  call('HSET', bucket_key, at_k, now, requests_k, requests2 or '', tokens_k, level2 or '')
end
call('ZADD', leases_key, now + tonumber(ARGV[11]), tenant .. ' ' .. request)
local prices = limits[9] .. ' ' .. limits[10] .. ' ' .. limits[11]
call('HSET', hold_key, 'key', key, 'period', period, 'tokens', tokens, 'nanousd', nanousd,
  'admitted_ms', now, 'route', route, 'version', string.match(route, '"version_id": "([^"]+)"') or '',
  'prices', prices, 'usage', '0 0 0', 'sequences', choices)
return {'admitted', field, route, output, tokens, nanousd, now, prices, tonumber(limits[8]) or 1, rates()}
