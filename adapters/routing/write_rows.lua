-- Writes the rows that one source has in the tables of routes (a style its own and its versions', an engine itself),
-- unless newer ones are there. A row that stays as it was counts as no change.
-- KEYS: the tables of styles, versions and engines, then sources, generation, changes
-- ARGV: how many changes are kept, source, its generation when the rows were read, how many rows go, table (style,
--       version, engine) and field of each, then table, field and row of those that stay or come
-- Returns the newer generation, or nothing once they are written.
local rows_keys = { style = KEYS[1], version = KEYS[2], engine = KEYS[3] }
local sources_key, generation_key, changes_key = KEYS[4], KEYS[5], KEYS[6]
local changes_kept, source, generation, gone = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local call = redis.call

local newest = tonumber(call('HGET', sources_key, source))
if newest and newest > generation then return newest end
call('HSET', sources_key, source, generation)

-- Gateways have the tables of versions and engines in memory, so they read what changed there. Admission reads the table
-- of styles here.
local changed = {}
local function note(kind, field)
  if kind ~= 'style' then changed[#changed + 1] = kind .. ' ' .. field end
end
local first = 5 + 2 * gone
for i = 5, first - 1, 2 do
  local kind, field = ARGV[i], ARGV[i + 1]
  if call('HDEL', rows_keys[kind], field) == 1 then note(kind, field) end
end
for i = first, #ARGV, 3 do
  local kind, field, row = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if call('HGET', rows_keys[kind], field) ~= row then
    call('HSET', rows_keys[kind], field, row)
    note(kind, field)
  end
end
if #changed == 0 then return nil end

local now = call('INCR', generation_key)
for _, row in ipairs(changed) do call('ZADD', changes_key, now, row) end
-- The oldest changes go: who does not know them yet reads the tables whole (inference/proxy/route_cache.py).
call('ZREMRANGEBYRANK', changes_key, 0, -changes_kept - 1)
return nil
