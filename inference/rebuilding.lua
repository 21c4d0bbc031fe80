-- Sets a period's counters from the ledger, unless somebody was first or an event came in meanwhile.
-- KEYS: account, stream. ARGV: the stream's last id when the sums were read, then field, value, field, value …
-- Returns 1, or 0 when the sums must be read again.
if redis.call('HEXISTS', KEYS[1], 'used') == 1 then return 1 end
local last = '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
end
if last ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
