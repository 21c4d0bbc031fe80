-- Takes notes of refused requests out of a workspace's stream once they are recorded.
-- KEYS: the stream, the set of workspaces that have some. ARGV: tenant id, then the notes' ids.
-- It must be one step: a note that came meanwhile keeps its workspace in the set.
local call = redis.call
if #ARGV > 1 then call('XDEL', KEYS[1], unpack(ARGV, 2)) end
if call('XLEN', KEYS[1]) == 0 then
  call('DEL', KEYS[1])
  call('SREM', KEYS[2], ARGV[1])
end
return 1
