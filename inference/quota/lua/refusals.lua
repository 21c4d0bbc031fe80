-- Counts the refusals of one client within a minute, and notes the one of a workspace for its log.
-- KEYS: refusals; of a workspace also: its stream of refused requests, the set of workspaces that have some
-- ARGV: what this one counts (0: it is only noted), how many a minute are allowed; then tenant id, how many notes are
--       kept, request id, key id, model, status, code, reason
-- Returns for how many ms more everything is refused: 0 while the client is within its minute's refusals.
local call, left_ms = redis.call, 0
if ARGV[1] ~= '0' then
  local count, ttl_ms = count_in_minute(KEYS[1], ARGV[1])
  if count > tonumber(ARGV[2]) then left_ms = ttl_ms end
end
if KEYS[2] then
  call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[4], '*', 'request', ARGV[5], 'key', ARGV[6], 'model', ARGV[7],
    'status', ARGV[8], 'code', ARGV[9], 'reason', ARGV[10])
  call('SADD', KEYS[3], ARGV[3])
end
return left_ms
