-- Puts back the hold of a request in flight that Valkey forgot in a flush. No limit is asked: it was admitted.
-- KEYS: hold, leases, account, bucket
-- ARGV: request id, tenant id, lease in ms, key, period, tokens, nano-USD, admitted_ms, route, prices, usage
-- Returns 1, or 0 when the hold is there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local key = ARGV[4]
for _, of in ipairs({'', ':' .. key}) do
  redis.call('HINCRBY', KEYS[3], 'held' .. of, ARGV[6])
  redis.call('HINCRBY', KEYS[3], 'reserved' .. of, ARGV[7])
  redis.call('HINCRBY', KEYS[4], 'open' .. of, 1)
end
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3]),
  ARGV[2] .. ' ' .. ARGV[1])
redis.call('HSET', KEYS[1], 'key', key, 'period', ARGV[5], 'tokens', ARGV[6], 'nanousd', ARGV[7],
  'admitted_ms', ARGV[8], 'route', ARGV[9], 'prices', ARGV[10], 'usage', ARGV[11])
return 1
