"""The upgrade from sixteen shards of keys in Valkey to one (docs/decisions/0030).

Delete this module, its command, its calls and its test once no installation is older than December 2026.
"""

from itertools import batched
from typing import Any, NamedTuple

from core import valkey

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

SHARDS = [f"{{s{number}}}" for number in range(16)]
WORKSPACE_KEYS = "{s*}:*-*-*-*-*:*"
UNUSED = ":styles"  # hashes of names of before routes were three tables
BATCH_SIZE = 500
# What stands under the new name is newer. SCAN may return a name twice.
RENAME = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then redis.call('DEL', KEYS[1]) end
return 1
"""


class ShardsRemain(RuntimeError):
    """Valkey has keys of sixteen shards. Stop the site and its workers, then run manage.py merge_shards."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class MergeResult(NamedTuple):
    """How many keys of workspaces got their new name, and how many usage events lie in the one stream."""

    keys: int
    events: int


def require_merged(client: Store) -> None:
    """Raise ShardsRemain if any shard has usage events, open requests, or an epoch."""
    shared = [f"{shard}:{name}" for shard in SHARDS for name in ("usage", "usage:refused", "leases", "epoch")]
    if client.exists(*shared):
        raise ShardsRemain


def merge_shards(client: Store) -> MergeResult:
    """Give all keys of the sixteen shards their names of now; return how many there were.

    Only while no process of the site runs. Safe to repeat, and to break off: the epochs go last, and as long
    as one is there `require_merged` refuses.
    """
    keys = _rename_workspace_keys(client)
    events = 0
    for shard in SHARDS:
        _move_leases(client, f"{shard}:leases")
        events += _move_entries(client, f"{shard}:usage", valkey.usage_key())
        _move_entries(client, f"{shard}:usage:refused", valkey.refused_usage_key())
    _merge_epochs(client)
    return MergeResult(keys, events)


def _rename_workspace_keys(client: Store) -> int:
    rename = client.register_script(RENAME)
    renamed = 0
    for names in batched(client.scan_iter(match=WORKSPACE_KEYS, count=BATCH_SIZE), BATCH_SIZE):
        pipeline = client.pipeline(transaction=False)
        for name in names:
            if name.endswith(UNUSED):
                pipeline.delete(name)
            else:
                rename([name, _new_name(name)], client=pipeline)
        renamed += sum(pipeline.execute())
        for name in names:
            if name.endswith(":kept"):
                _rename_kept_replays(client, _new_name(name))
    return renamed


def _new_name(name: str) -> str:
    _, name_in_shard = name.split(":", 1)
    return f"workspace:{name_in_shard}"


def _rename_kept_replays(client: Store, kept: str) -> None:
    """Let the list of stored answers name them as they are named now."""
    pipeline = client.pipeline(transaction=True)
    for member, expires_ms in client.zrange(kept, 0, -1, withscores=True):
        size, replay = member.split(" ", 1)
        if replay.startswith("{"):
            pipeline.zrem(kept, member)
            pipeline.zadd(kept, {f"{size} {_new_name(replay)}": expires_ms})
    pipeline.execute()


def _move_leases(client: Store, old: str) -> None:
    leases = dict(client.zrange(old, 0, -1, withscores=True))
    pipeline = client.pipeline(transaction=True)
    if leases:
        pipeline.zadd(valkey.leases_key(), leases)
    pipeline.delete(old)
    pipeline.execute()


def _move_entries(client: Store, old: str, new: str) -> int:
    """Move all entries of a stream, those that a drain has read and not recorded, too; return how many."""
    moved = 0
    while entries := client.xrange(old, count=BATCH_SIZE):
        pipeline = client.pipeline(transaction=True)
        for _, fields in entries:
            pipeline.xadd(new, fields)
        pipeline.xdel(old, *[entry_id for entry_id, _ in entries])
        pipeline.execute()
        moved += len(entries)
    client.delete(old)
    return moved


def _merge_epochs(client: Store) -> None:
    """No hold is missing if none was missing in any shard; else gateways wait once more."""
    names = [f"{shard}:epoch" for shard in SHARDS]
    epochs = client.mget(names)
    pipeline = client.pipeline(transaction=True)
    if all(epoch == "whole" for epoch in epochs):
        pipeline.set(valkey.epoch_key(), "whole", nx=True)
    pipeline.delete(*names)
    pipeline.execute()
