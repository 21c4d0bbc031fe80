-- Claims an Idempotency-Key for one request, or tells what became of the request that had it.
-- KEYS: replay. ARGV: digest of what is asked, request id, lease in ms.
-- Returns new, other (something else was asked under this key), open (still running), or done and the answer.
local known = redis.call('HMGET', KEYS[1], 'asked', 'answer')
if not known[1] then
  redis.call('HSET', KEYS[1], 'asked', ARGV[1], 'request', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'new'}
end
if known[1] ~= ARGV[1] then return {'other'} end
if not known[2] then return {'open'} end
return {'done', known[2]}
