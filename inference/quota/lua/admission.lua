-- Checks every limit of a request, the workspace's and its key's, and takes the hold, or changes nothing.
-- KEYS: limits, key, library, account, bucket, hold, leases, suspect (of this request, or any), versions, styles, incarnation
-- ARGV: request id, tenant id, key id, model name, prompt tokens (upper bound), output tokens asked (0: default),
--       sequences (prompts times choices), period, its first and its end's millisecond, lease in ms,
--       1 if the prompt was counted exactly, the caller's bucket for canaries (0 … 99), prompt tokens (lower bound),
--       the base model's context in tokens (0: no engine serves it), 1 if the client wants no watermark
-- Returns a flat array that begins with the verdict: admitted, cache_miss, period_rollover, denied, suspect,
-- sequences, unknown_model, too_long, loading, estimate_too_high (an exact count could change the answer), or limited.
-- An absent or empty limit (of a key, of spending) means that there is none.
local limits_key, key_key, library_key, account_key, bucket_key, hold_key, leases_key, suspect_key, versions_key,
  styles_key, incarnation_key = unpack(KEYS)
local request_id, tenant, key, model = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local max_prompt, output_asked, sequences, period = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local lease_ms, is_exact = tonumber(ARGV[11]), ARGV[12] == '1'
local canary_bucket, min_prompt, base_context = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local call, floor, ceil, min, max = redis.call, math.floor, math.ceil, math.min, math.max

local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
if now < tonumber(ARGV[9]) or now >= tonumber(ARGV[10]) then return {'period_rollover', now} end

-- What Valkey knows: all of it, or the gateway publishes it first.
local limits
repeat
  limits = call('HMGET', limits_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
    'requests_per_minute', 'tokens_per_minute', 'max_output_tokens', 'weight',
    'input_nanousd', 'cached_input_nanousd', 'output_nanousd', 'sequences_per_request', 'credits', 'coming_at',
    'slug', 'is_watermarked')
until not apply_due_change(limits_key, limits[14], now)
local api_key = call('HMGET', key_key, 'state', 'monthly_tokens', 'monthly_nanousd', 'parallel_requests',
  'requests_per_minute', 'tokens_per_minute', 'expires_at', 'styles', 'is_watermarked')
local used_k, spent_k, held_k, reserved_k = 'used:' .. key, 'spent:' .. key, 'held:' .. key, 'reserved:' .. key
local sums = call('HMGET', account_key, 'used', 'spent', 'held', 'reserved', used_k, spent_k, held_k, reserved_k)
if not limits[1] or not api_key[1] or not sums[1] then return {'cache_miss'} end
-- A name without a workspace means the caller's own style, else the first party's.
local name, suffix = string.match(model, '^([^@]*)(.*)$')
local own_name = limits[15] .. '/' .. name
local library = call('HMGET', library_key, '@generation', own_name, name)
if not library[1] then return {'cache_miss'} end

-- Who may ask at all.
local refusal = denied(limits[1], api_key[1], api_key[7], now)
if refusal then return refusal end
local suspect_ms = call('PTTL', suspect_key)
if suspect_ms > 0 then return {'suspect', suspect_ms} end
local may_be_unmarked = limits[16] == '0' or api_key[9] == '0'
if ARGV[16] == '1' and not may_be_unmarked then return {'denied', 'watermarked'} end
local max_sequences = tonumber(limits[12])
if sequences > max_sequences then return {'sequences', max_sequences} end

-- Where the name leads: to a style and a version, which has the context of its engines, 0 while none has it, and the
-- style's own prices, if it has some (adapters/routing/tables.py).
local field, style, version, context, schedule
if model == 'base' then
  field, style, version, context, schedule = model, '-', model, base_context, call('HGET', limits_key, 'base_prices')
else
  local rows = call('HMGET', styles_key, own_name, name)
  local full_name, right, written = own_name, library[2], rows[1]
  if not written then full_name, right, written = name, library[3], rows[2] end
  -- A row that is missing after a flush may be about to be written.
  local is_missing = not written or (library[2] and not rows[1])
  if is_missing and call('EXISTS', incarnation_key) == 0 then return {'cache_miss'} end
  local row = right and written and cjson.decode(written)
  if row and (right ~= 'selected' or row.is_public) then
    local view = right ~= 'own' and row.others or row.owner
    local function lead(to)
      field, version = full_name .. to, view.versions[to]
      context = version and tonumber(string.match(call('HGET', versions_key, version) or '', '^%d+')) or 0
    end
    -- A canary has its share of the plain name's callers. Nobody waits for one that is on its way to an engine.
    local percent = suffix == '' and view.canary_percent
    if percent and canary_bucket < percent then lead('@canary') end
    if not version or context == 0 then lead(suffix) end
    style, schedule = row.style, row.prices
  end
end
if not version then return {'unknown_model'} end
local allowed_styles = api_key[8] or ''
if allowed_styles ~= '' and (style == '-' or not string.find(allowed_styles, style, 1, true)) then
  return {'unknown_model'}
end
local needs_loading = context == 0
-- What is on no engine has as long a context as the base model.
if needs_loading then context = base_context end
if context > 0 and min_prompt >= context then return {'too_long', context} end

-- Its prices: the last of its own that have begun by this clock, else ('-', or none) those of every style.
local prices = { limits[9], limits[10], limits[11] }
local own_prices
for entry, from_ms in string.gmatch(schedule or '', '([^,@]+)@(%d+)') do
  if tonumber(from_ms) <= now then own_prices = entry end
end
if own_prices and own_prices ~= '-' then prices = { string.match(own_prices, '^(%d+)/(%d+)/(%d+)$') } end

-- What the request may need.
local output, is_cut = tonumber(limits[7]), false
if output_asked > 0 then
  output = min(output_asked, output)
else
  local room = context - max_prompt
  is_cut = room < output
  output = max(1, min(output, room))
end
local input_price, output_price = max(tonumber(prices[1]), tonumber(prices[2])), tonumber(prices[3])
local tokens, nanousd
local function set_needed(prompt)
  tokens = prompt + output * sequences
  nanousd = prompt * input_price + output * sequences * output_price
end

-- The workspace and its key are two accounts with the same limits. These two tables cost 0.4 to 2.2 µs a request beside
-- 24 plain locals (Valkey's processor time of about 100 µs, 28 rounds in turn on a busy machine).
local at_k, open_k, requests_k, tokens_k = 'at:' .. key, 'open:' .. key, 'requests:' .. key, 'tokens:' .. key
local bucket = call('HMGET', bucket_key, 'at', 'open', 'requests', 'tokens', at_k, open_k, requests_k, tokens_k)
local function refilled(level, per_minute, elapsed_ms)
  if not per_minute then return nil end
  return min(per_minute, (tonumber(level) or per_minute) + elapsed_ms * per_minute / 60000)
end
local function account(scope, limit, first)
  local requests_per_minute, tokens_per_minute = tonumber(limit[5]), tonumber(limit[6])
  local elapsed_ms = now - (tonumber(bucket[first]) or now)
  return {
    scope = scope,
    cap = tonumber(limit[2]), budget = tonumber(limit[3]), parallel = tonumber(limit[4]),
    requests_per_minute = requests_per_minute, tokens_per_minute = tokens_per_minute,
    used = tonumber(sums[first]) or 0, spent = tonumber(sums[first + 1]) or 0,
    held = tonumber(sums[first + 2]) or 0, reserved = tonumber(sums[first + 3]) or 0,
    open = tonumber(bucket[first + 1]) or 0,
    requests = refilled(bucket[first + 2], requests_per_minute, elapsed_ms),
    tokens = refilled(bucket[first + 3], tokens_per_minute, elapsed_ms),
  }
end
local workspace, own = account('workspace', limits, 1), account('key', api_key, 5)

-- The headers tell the tighter of the two accounts.
local function rates()
  local a, b = workspace, workspace
  if own.requests_per_minute and own.requests < workspace.requests then a = own end
  if own.tokens_per_minute and own.tokens < workspace.tokens then b = own end
  return a.requests_per_minute, floor(a.requests),
    ceil((a.requests_per_minute - a.requests) * 60000 / a.requests_per_minute),
    b.tokens_per_minute, floor(b.tokens), ceil((b.tokens_per_minute - b.tokens) * 60000 / b.tokens_per_minute)
end
local function limited(of, limit, retry_ms, allowed, left)
  return {'limited', limit, of.scope, ceil(retry_ms), allowed, floor(max(0, left)), tokens, nanousd, rates()}
end

-- Without overage, usage beyond the included tokens is paid by credits or refused. What a month costs beyond them grows
-- with its cost and with its tokens. So if the worst case is covered, every settlement is.
-- `credits` (quota_sync/credit_field.py): this month and the one before, the tokens included in each, then what was
-- left of the grants before these two months, in burn order, as amount:months. The months are c for this one, p for
-- the one before, b for both. What may be unpaid comes last, as u, and pays both. A field of another month is old. Functions are made only where they are needed: for
-- everybody they cost 4 % of the script.
local unpaid
local credits = limits[13]
if credits and credits ~= '' then
  local month, previous, included, previous_included, grants =
    string.match(credits, '^(%S+) (%S+) (%d+) (%d+)(.*)$')
  if month ~= period then return {'cache_miss'} end
  included, previous_included = tonumber(included), tonumber(previous_included)
  -- Rounded up: products of doubles are off by less than 2 nano-USD, up to 2⁵³ of them.
  local function payable(cost, used, free)
    if used <= free then return 0 end
    return min(cost, ceil(cost * ((used - free) / used)) + 2)
  end
  -- What the grants have for this month, once the month before has burned what it owes.
  local function left_after(owed)
    local left = 0
    for amount, months in string.gmatch(grants, '(%d+):(%l)') do
      amount = tonumber(amount)
      if months ~= 'c' then
        local burned = min(owed, amount)
        owed, amount = owed - burned, amount - burned
      end
      if months ~= 'p' then left = left + amount end
    end
    return left
  end
  local most_credits, least_credits -- without and with what the open requests of the month before may burn
  local function read_credits()
    local owed, owed_at_most = 0, 0
    if string.find(grants, ':[bu]') then
      local previous_key = string.sub(account_key, 1, -1 - #period) .. previous
      local before = call('HMGET', previous_key, 'used', 'spent', 'held', 'reserved')
      local used, spent = tonumber(before[1]), tonumber(before[2]) or 0
      if not used then return false end
      local held, reserved = tonumber(before[3]) or 0, tonumber(before[4]) or 0
      owed = payable(spent, used, previous_included)
      owed_at_most = payable(spent + reserved, used + held, previous_included)
    end
    most_credits, least_credits = left_after(owed), left_after(owed_at_most)
    return true
  end
  unpaid = function(is_busy)
    local used, spent = workspace.used, workspace.spent
    if is_busy then used, spent = used + workspace.held, spent + workspace.reserved end
    local owed = payable(spent + nanousd, used + tokens, included)
    if owed == 0 then return end
    if not most_credits and not read_credits() then return {'cache_miss'} end
    if owed <= (is_busy and least_credits or most_credits) then return end
    local spent_credits = payable(workspace.spent, workspace.used, included)
    local name = string.find(grants, ':u', 1, true) and 'unpaid' or 'credits'
    local refusal = limited(workspace, name .. (is_busy and '_in_flight' or '_spent'), is_busy and 2000 or 0,
      most_credits, most_credits - spent_credits)
    refusal[8] = owed - payable(spent, used, included)
    return refusal
  end
end

-- First what waiting does not help, then what it does.
local function exhausted(of)
  if of.cap and of.used + tokens > of.cap then return limited(of, 'tokens_spent', 0, of.cap, of.cap - of.used) end
  if of.budget and of.spent + nanousd > of.budget then
    return limited(of, 'nanousd_spent', 0, of.budget, of.budget - of.spent)
  end
  if of.tokens_per_minute and tokens > of.tokens_per_minute then
    return limited(of, 'tokens_too_large', 0, of.tokens_per_minute, of.tokens)
  end
  if of.parallel and sequences > of.parallel then
    return limited(of, 'parallel_too_large', 0, of.parallel, of.parallel)
  end
end
local function busy(of)
  if of.cap and of.used + of.held + tokens > of.cap then
    return limited(of, 'tokens_in_flight', 2000, of.cap, of.cap - of.used)
  end
  if of.budget and of.spent + of.reserved + nanousd > of.budget then
    return limited(of, 'nanousd_in_flight', 2000, of.budget, of.budget - of.spent)
  end
  if of.parallel and of.open + sequences > of.parallel then
    return limited(of, 'parallel', 1000, of.parallel, of.parallel - of.open)
  end
  if of.requests_per_minute and of.requests < 1 then
    return limited(of, 'requests', (1 - of.requests) * 60000 / of.requests_per_minute, of.requests_per_minute, 0)
  end
  if of.tokens_per_minute and of.tokens < tokens then
    return limited(of, 'tokens', (tokens - of.tokens) * 60000 / of.tokens_per_minute, of.tokens_per_minute, of.tokens)
  end
end
local function refused(prompt)
  set_needed(prompt)
  return exhausted(workspace) or exhausted(own) or (unpaid and unpaid(false)) or busy(workspace) or busy(own)
    or (unpaid and unpaid(true))
end
refusal = refused(max_prompt)
if not is_exact and (refusal or is_cut) then
  -- Only what the shortest possible prompt would meet as well is certain.
  local certain = refused(min_prompt)
  if not certain then return {'estimate_too_high'} end
  if not refusal or certain[2] ~= refusal[2] or certain[3] ~= refusal[3] then refusal = certain end
end
if refusal then return refusal end
-- Only now: a caller that a limit refuses has nothing loaded, which could cost others their places.
if needs_loading then return {'loading', field, version} end

-- Take the hold.
call('HSET', account_key, 'held', workspace.held + tokens, 'reserved', workspace.reserved + nanousd,
  held_k, own.held + tokens, reserved_k, own.reserved + nanousd)
workspace.requests, workspace.tokens = workspace.requests - 1, workspace.tokens - tokens
call('HSET', bucket_key, 'at', now, 'open', workspace.open + sequences, 'requests', workspace.requests,
  'tokens', workspace.tokens, open_k, own.open + sequences)
if own.requests or own.tokens then
  own.requests, own.tokens = own.requests and own.requests - 1, own.tokens and own.tokens - tokens
  -- '' where there is no limit: one that is set later begins full.
  call('HSET', bucket_key, at_k, now, requests_k, own.requests or '', tokens_k, own.tokens or '')
end
call('ZADD', leases_key, now + lease_ms, tenant .. ' ' .. request_id)
local held_prices = table.concat(prices, ' ')
call('HSET', hold_key, 'key', key, 'period', period, 'tokens', tokens, 'nanousd', nanousd,
  'admitted_ms', now, 'version', version == 'base' and '' or version, 'prices', held_prices, 'usage', '0 0 0',
  'sequences', sequences)
return {'admitted', field, version, output, tokens, nanousd, now, held_prices, tonumber(limits[8]),
  may_be_unmarked and 1 or 0, rates()}
