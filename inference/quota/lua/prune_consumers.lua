-- Takes consumers out of a stream's group that have read nothing for long and have nothing pending.
-- KEYS: stream. ARGV: group, for how many milliseconds. Returns how many it took out.
-- It must be one step: a consumer that read something between check and removal would lose it.
local stream, group, idle_ms, gone = KEYS[1], ARGV[1], tonumber(ARGV[2]), 0
if redis.call('EXISTS', stream) == 0 or #redis.call('XINFO', 'GROUPS', stream) == 0 then return 0 end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local facts = {}
  for i = 1, #consumer, 2 do facts[consumer[i]] = consumer[i + 1] end
  if facts.pending == 0 and facts.idle > idle_ms then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, facts.name)
    gone = gone + 1
  end
end
return gone
