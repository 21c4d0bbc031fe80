-- Releases the lock on an Idempotency-Key that this request still has: with its answer, or ('') as if never locked.
-- The answers of a workspace stay within a number of bytes: the oldest make room for new ones.
-- KEYS: replay, kept, kept bytes. ARGV: request id, answer, how long to keep it in ms, bytes that may be kept.
local call, replay, kept, total = redis.call, KEYS[1], KEYS[2], KEYS[3]
if call('HGET', replay, 'request') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return call('DEL', replay) end

local time = call('TIME')
local now, keep_ms, most = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3]), tonumber(ARGV[4])
local size = #ARGV[2] + 512  -- an answer of one word takes memory, too
local bytes = (tonumber(call('GET', total)) or 0) + size
local oldest = call('ZRANGE', kept, 0, 0, 'WITHSCORES')
while oldest[1] and (bytes > most or tonumber(oldest[2]) <= now) do
  local old_size, old = string.match(oldest[1], '^(%d+) (.+)$')
  call('ZREM', kept, oldest[1])
  call('DEL', old)
  bytes = bytes - tonumber(old_size)
  oldest = call('ZRANGE', kept, 0, 0, 'WITHSCORES')
end
call('ZADD', kept, now + keep_ms, size .. ' ' .. replay)
call('SET', total, bytes, 'PX', keep_ms)
call('PEXPIRE', kept, keep_ms)
call('HSET', replay, 'answer', ARGV[2])
return call('PEXPIRE', replay, keep_ms)
