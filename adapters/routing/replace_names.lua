-- Puts a tenant's new hash of names in the place of the old one, unless somebody has written that one since the new
-- one was read.
-- KEYS: the new hash, the hash, its revision. ARGV: the revision when the names were read, this writer's
-- Returns 1, or 0 if nothing was changed.
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PERSIST', KEYS[2])
redis.call('SET', KEYS[3], ARGV[2])
return 1
