-- Sets a period's counters from the ledger's sums, and from the events that came after those were read.
-- KEYS: account, stream. ARGV: tenant id, period, the stream's last id when the sums were read, then field, value …
-- An account that somebody else has rebuilt meanwhile stays as it is.
local account, stream = KEYS[1], KEYS[2]
local tenant, period, last = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HEXISTS', account, 'used') == 1 then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', account, ARGV[i], ARGV[i + 1]) end
for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. last, '+')) do
  local event = {}
  for i = 1, #entry[2], 2 do event[entry[2][i]] = entry[2][i + 1] end
  if event.tenant == tenant and event.period == period then
    for _, of in ipairs({'', ':' .. event.key}) do
      redis.call('HINCRBY', account, 'used' .. of, event.prompt + event.completion)
      redis.call('HINCRBY', account, 'spent' .. of, event.cost)
    end
  end
end
return 1
