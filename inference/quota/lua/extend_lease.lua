-- Extends the lease of a request in flight and stores its running usage and where it went. If its gateway crashes, the
-- sweeper bills this.
-- KEYS: hold, leases
-- ARGV: request id, tenant id, lease in ms, usage (`prompt cached completion`), route, version, engine, watermark
-- Returns 1, or 0 when the hold is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'swept') == 1 then return 1 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'usage', ARGV[4], 'route', ARGV[5], 'version', ARGV[6], 'engine', ARGV[7], 'watermark', ARGV[8])
redis.call('ZADD', KEYS[2], 'XX', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3]),
  ARGV[2] .. ' ' .. ARGV[1])
return 1
