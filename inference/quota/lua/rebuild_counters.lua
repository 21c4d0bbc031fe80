-- Sets a period's counters from the ledger's sums.
-- KEYS: account, stream. ARGV: tenant id, the stream's last id when the sums were read, then field, value …
-- Returns 0, and changes nothing, if an event of the tenant came since then: the sums may have it or not. The drain
-- deletes what it has recorded. So if any later event was deleted, the sums must be read again as well.
-- An account that another process has rebuilt meanwhile stays as it is.
local account, stream = KEYS[1], KEYS[2]
local tenant, last = ARGV[1], ARGV[2]
if redis.call('HEXISTS', account, 'used') == 1 then return 1 end
local function is_later(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  if a1 ~= b1 then return tonumber(a1) > tonumber(b1) end
  return tonumber(a2) > tonumber(b2)
end
if redis.call('EXISTS', stream) == 1 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'max-deleted-entry-id' and is_later(info[i + 1], last) then return 0 end
  end
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. last, '+')) do
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'tenant' and entry[2][i + 1] == tenant then return 0 end
    end
  end
end
for i = 3, #ARGV, 2 do redis.call('HSET', account, ARGV[i], ARGV[i + 1]) end
return 1
