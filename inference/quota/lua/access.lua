-- May this key ask? The one answer of all scripts: quota/scripts.py puts these functions before each that needs it.

-- Returns nil, or the verdict that says why not. `now` is in ms. A key without the scope `inference` may read about itself.
local function denied(workspace_state, key_state, expires_at, now, may_lack_scope)
  if workspace_state ~= 'live' then return {'denied', 'suspended'} end
  local is_unscoped = may_lack_scope and key_state == 'unscoped'
  if key_state ~= 'live' and not is_unscoped then return {'denied', key_state} end
  local expires_s = tonumber(expires_at)
  if expires_s and expires_s * 1000 <= now then return {'denied', 'expired'} end
end

-- Applies a change of a workspace's limits that was known ahead, once it is due (quota_sync/snapshot.py): nobody
-- has to publish it then. Returns whether the limits have changed.
local function apply_due_change(limits_key, coming_at, now)
  local due = tonumber(coming_at)
  if not due or due > now then return false end
  for field, value in pairs(cjson.decode(redis.call('HGET', limits_key, 'coming'))) do
    redis.call('HSET', limits_key, field, value)
  end
  redis.call('HSET', limits_key, 'coming_at', '', 'coming', '')
  return true
end
