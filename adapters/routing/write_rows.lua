-- Writes the rows that one source has in a table of routes (a style its versions, an engine itself), unless newer ones
-- are there. A row that stays as it was counts as no change.
-- KEYS: table, sources, generation, changes, tombstones, floor
-- ARGV: source, its generation when the rows were read, the kind of row (version, engine), how many rows go, their
--       fields, then field and row of those that stay or come
-- Returns how many rows changed, or, if newer ones are there, their generation below zero.
local rows_key, sources_key, generation_key, changes_key, tombstones_key, floor_key = unpack(KEYS)
local source, generation, kind, gone = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local call, max_tombstones = redis.call, 1000

local newest = tonumber(call('HGET', sources_key, source))
if newest and newest > generation then return -newest end
call('HSET', sources_key, source, generation)

local removed, written = {}, {}
for i = 5, 4 + gone do
  if call('HDEL', rows_key, ARGV[i]) == 1 then removed[#removed + 1] = kind .. ' ' .. ARGV[i] end
end
for i = 5 + gone, #ARGV, 2 do
  if call('HGET', rows_key, ARGV[i]) ~= ARGV[i + 1] then
    call('HSET', rows_key, ARGV[i], ARGV[i + 1])
    written[#written + 1] = kind .. ' ' .. ARGV[i]
  end
end
if #removed + #written == 0 then return 0 end

local now = call('INCR', generation_key)
for _, row in ipairs(written) do
  call('ZADD', changes_key, now, row)
  call('ZREM', tombstones_key, row)
end
for _, row in ipairs(removed) do
  call('ZADD', changes_key, now, row)
  call('ZADD', tombstones_key, now, row)
end
-- Readers that know a row learn by a note that it is gone; the oldest of these notes go.
while call('ZCARD', tombstones_key) > max_tombstones do
  local oldest = call('ZPOPMIN', tombstones_key)
  call('ZREM', changes_key, oldest[1])
  call('SET', floor_key, oldest[2])
end
return #removed + #written
