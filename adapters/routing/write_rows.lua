-- Writes the rows that one source has in the tables of routes (a style its own and its versions', an engine itself),
-- unless newer ones are there. A row that stays as it was counts as no change.
-- KEYS: the tables of styles, versions and engines, then sources, generation, changes, tombstones, floor
-- ARGV: source, its generation when the rows were read, how many rows go, table (style, version, engine) and field of
--       each, then table, field and row of those that stay or come
-- Returns how many rows changed, or, if newer ones are there, their generation below zero.
local rows_keys = { style = KEYS[1], version = KEYS[2], engine = KEYS[3] }
local sources_key, generation_key, changes_key, tombstones_key, floor_key = unpack(KEYS, 4)
local source, generation, gone = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local call, max_tombstones = redis.call, 1000

local newest = tonumber(call('HGET', sources_key, source))
if newest and newest > generation then return -newest end
call('HSET', sources_key, source, generation)

-- Gateways have the tables of versions and engines in memory, so they read what changed there. Admission reads the table
-- of styles here.
local changed, removed, written = 0, {}, {}
local function note(notes, kind, field)
  changed = changed + 1
  if kind ~= 'style' then notes[#notes + 1] = kind .. ' ' .. field end
end
local first = 4 + 2 * gone
for i = 4, first - 1, 2 do
  local kind, field = ARGV[i], ARGV[i + 1]
  if call('HDEL', rows_keys[kind], field) == 1 then note(removed, kind, field) end
end
for i = first, #ARGV, 3 do
  local kind, field, row = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if call('HGET', rows_keys[kind], field) ~= row then
    call('HSET', rows_keys[kind], field, row)
    note(written, kind, field)
  end
end
if #removed + #written == 0 then return changed end

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
return changed
