-- Says whether a key may ask, for what admits no request: lists, reports, a request that waits.
-- KEYS: limits, key, incarnation. ARGV: '1' if a key without the scope `inference` may ask, too
-- Returns cache_miss, denied and why, or live, the styles that the key is limited to ('': all), and for how many days the
-- workspace stores responses ('': it stores none).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limits = redis.call('HMGET', KEYS[1], 'state', 'coming_at', 'responses_kept_days')
if apply_due_change(KEYS[1], limits[2], now) then limits[1] = redis.call('HGET', KEYS[1], 'state') end
local api_key = redis.call('HMGET', KEYS[2], 'state', 'expires_at', 'styles')
if not limits[1] or not api_key[1] or redis.call('EXISTS', KEYS[3]) == 0 then return {'cache_miss'} end
return denied(limits[1], api_key[1], api_key[2], now, ARGV[1] == '1') or {'live', api_key[3] or '', limits[3] or ''}
