-- Locks an Idempotency-Key for one request, or tells what became of the request that had it.
-- KEYS: replay, limits, key. ARGV: digest of the request, request id, lease in ms.
-- Returns cache_miss or denied and why (access.lua: only a live key may read a kept answer), new (locked), other
-- (the key was used for another request), open (that request still runs), or done and the answer.
local limits_state = redis.call('HGET', KEYS[2], 'state')
local api_key = redis.call('HMGET', KEYS[3], 'state', 'expires_at')
if not limits_state or not api_key[1] then return {'cache_miss'} end
local refusal = denied(limits_state, api_key[1], api_key[2], redis.call('TIME')[1] * 1000)
if refusal then return refusal end

local known = redis.call('HMGET', KEYS[1], 'asked', 'answer')
if not known[1] then
  redis.call('HSET', KEYS[1], 'asked', ARGV[1], 'request', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'new'}
end
if known[1] ~= ARGV[1] then return {'other'} end
if not known[2] then return {'open'} end
return {'done', known[2]}
