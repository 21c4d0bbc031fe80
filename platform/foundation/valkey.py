"""The one place that knows how Valkey keys are named, and the synchronous client.

All keys of one tenant live in one of SHARDS hash slots (`{s7}`), so that one script may touch all of
them on a cluster, and the usage streams stay few enough for one drain to read.
"""

import zlib
from functools import cache
from uuid import UUID

import redis
from django.conf import settings

SHARDS = 16


def shard(tenant_id: UUID | str) -> str:
    """Return the hash tag of a tenant, `{s0}` … `{s15}`."""
    return "{s%d}" % (zlib.crc32(str(tenant_id).encode()) % SHARDS)


def limits_key(tenant_id: UUID | str) -> str:
    """Hash: the plan's limits and the tenant's state. Absent means: publish before serving."""
    return f"{shard(tenant_id)}:{tenant_id}:limits"


def styles_key(tenant_id: UUID | str) -> str:
    """Hash: model name → route as JSON, for all styles that the tenant may use."""
    return f"{shard(tenant_id)}:{tenant_id}:styles"


def key_key(tenant_id: UUID | str, key_id: UUID | str) -> str:
    """Hash: one API key's state (`live`, `expires_at`, `styles`, own limits)."""
    return f"{shard(tenant_id)}:{tenant_id}:key:{key_id}"


def used_key(tenant_id: UUID | str, period: str) -> str:
    """Hash: `tokens`, `nanousd` charged in the period, by tenant and by key (`tokens:<key>`)."""
    return f"{shard(tenant_id)}:{tenant_id}:used:{period}"


def owner_key(digest: str) -> str:
    """String: which tenant and key a secret belongs to, `<tenant>:<key>`; never changes."""
    return f"owner:{digest}"


def stream_of(tag: str) -> str:
    """Stream of usage events of one shard."""
    return f"{tag}:usage"


def streams() -> list[str]:
    """Return the names of all usage streams."""
    return [stream_of("{s%d}" % number) for number in range(SHARDS)]


@cache
def client() -> "redis.Redis":
    """Return the process's synchronous client (a thread-safe pool). Raises redis.RedisError on use."""
    return redis.Redis.from_url(
        settings.VALKEY_URL, decode_responses=True, socket_timeout=5, socket_connect_timeout=2
    )
