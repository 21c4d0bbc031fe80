-- Writes one style's routes into the hashes of tenants that have one; an absent hash is written whole when it is
-- asked for.
-- KEYS: the tenants' hashes of routes, all of one shard
-- ARGV: how many fields go, these fields, then field and route of those that stay or come
local gone, portion = tonumber(ARGV[1]), 1000 -- Lua's stack holds no more than a few thousand arguments
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    for at = 2, gone + 1, portion do
      redis.call('HDEL', key, unpack(ARGV, at, math.min(at + portion - 1, gone + 1)))
    end
    for at = gone + 2, #ARGV, portion do
      redis.call('HSET', key, unpack(ARGV, at, math.min(at + portion - 1, #ARGV)))
    end
  end
end
