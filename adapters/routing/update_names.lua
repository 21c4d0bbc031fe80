-- Writes one style's names into the hashes of tenants that have one; an absent hash is written whole when it is
-- asked for.
-- KEYS: the tenants' hashes of names, each followed by its revision
-- ARGV: this writer's revision, then each hash's revision when the names were read, then how many fields go, these
--       fields, then field and target of those that stay or come
-- Returns the places (from 1) of the tenants that somebody else has written since: they are left as they are.
local hashes, portion, written_since = #KEYS / 2, 1000, {} -- Lua's stack holds no more than a few thousand arguments
local first = hashes + 3
local gone = tonumber(ARGV[hashes + 2])
for i = 1, hashes do
  local key, revision = KEYS[2 * i - 1], KEYS[2 * i]
  local now = redis.call('GET', revision) or ''
  if redis.call('EXISTS', key) == 0 then
    -- Nothing to change.
  elseif now ~= ARGV[i + 1] and now ~= ARGV[1] then
    written_since[#written_since + 1] = i
  else
    for at = first, first + gone - 1, portion do
      redis.call('HDEL', key, unpack(ARGV, at, math.min(at + portion - 1, first + gone - 1)))
    end
    for at = first + gone, #ARGV, portion do
      redis.call('HSET', key, unpack(ARGV, at, math.min(at + portion - 1, #ARGV)))
    end
    redis.call('SET', revision, ARGV[1])
  end
end
return written_since
