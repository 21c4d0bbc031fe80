-- Adds what a gateway process counted to the totals of all, and says how the process is just now.
-- KEYS: totals, the process's state, the processes. ARGV: the process, its state, for how many milliseconds
-- the state is true, then a total's name and what is added to it, in turn.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 4, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[3], now_ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], 0, now_ms - ARGV[3])
return 1
