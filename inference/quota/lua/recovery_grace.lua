-- Tells how long to wait after a flush until every live gateway has restored its holds.
-- KEYS: epoch. ARGV: that grace in ms. Returns the milliseconds left, 0 when no hold can be missing.
local ends = redis.call('GET', KEYS[1])
if ends == 'whole' then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not ends then
  redis.call('SET', KEYS[1], now + tonumber(ARGV[1]))
  return tonumber(ARGV[1])
end
if now < tonumber(ends) then return tonumber(ends) - now end
redis.call('SET', KEYS[1], 'whole')
return 0
