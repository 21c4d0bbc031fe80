-- Ends a claim on an Idempotency-Key that this request still has: with its answer, or ('') as if never made.
-- KEYS: replay. ARGV: request id, answer, how long to keep it in ms.
if redis.call('HGET', KEYS[1], 'request') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
