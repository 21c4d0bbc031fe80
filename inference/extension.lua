-- Extends an open request's lease and stores its running usage, so that a crash bills the last heartbeat.
-- KEYS: hold, open, leases. ARGV: request id, tenant id, lease in ms, prompt, cached, completion tokens.
-- Returns 1, or 0 when the hold is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'prompt', ARGV[4], 'cached', ARGV[5], 'completion', ARGV[6])
redis.call('ZADD', KEYS[2], 'XX', until_ms, ARGV[1])
redis.call('ZADD', KEYS[3], 'XX', until_ms, ARGV[2] .. ' ' .. ARGV[1])
return 1
