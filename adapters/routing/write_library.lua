-- Puts a workspace's library in the place of the one before, unless Valkey has one of a newer generation.
-- KEYS: the library. ARGV: generation, then model name and right of each style
-- Returns the newer generation, or nothing once it is written.
local newest = tonumber(redis.call('HGET', KEYS[1], '@generation') or '')
if newest and newest > tonumber(ARGV[1]) then return newest end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], '@generation', ARGV[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return nil
