-- Restores the hold of a request in flight that a flush took. It checks no limit: the request was admitted.
-- KEYS: hold, leases, account, bucket
-- ARGV: request id, tenant id, lease in ms, usage, route, version, engine, watermark, key, period, tokens, nano-USD,
--       admitted_ms, prices, sequences
-- Returns 1, or 0 when the hold is there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local key = ARGV[9]
for _, suffix in ipairs({'', ':' .. key}) do -- the workspace's counters, then the key's
  redis.call('HINCRBY', KEYS[3], 'held' .. suffix, ARGV[11])
  redis.call('HINCRBY', KEYS[3], 'reserved' .. suffix, ARGV[12])
  redis.call('HINCRBY', KEYS[4], 'open' .. suffix, ARGV[15])
end
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3]),
  ARGV[2] .. ' ' .. ARGV[1])
redis.call('HSET', KEYS[1], 'usage', ARGV[4], 'route', ARGV[5], 'version', ARGV[6], 'engine', ARGV[7], 'watermark', ARGV[8],
  'key', key, 'period', ARGV[10], 'tokens', ARGV[11], 'nanousd', ARGV[12], 'admitted_ms', ARGV[13],
  'prices', ARGV[14], 'sequences', ARGV[15])
return 1
