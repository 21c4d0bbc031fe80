"""The names of all Valkey keys, the synchronous client, and what both planes read of open requests.

There is one Valkey and no cluster (docs/decisions/0030): one script may touch keys of a workspace and of all.
"""

from functools import cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings


def _of_workspace(tenant_id: UUID | str, name: str) -> str:
    return f"workspace:{tenant_id}:{name}"


def limits_key(tenant_id: UUID | str) -> str:
    """Hash: the plan's limits and the tenant's state. If it is absent, publish it before serving."""
    return _of_workspace(tenant_id, "limits")


def published_key(tenant_id: UUID | str) -> str:
    """String: the `Tenant.generation` of the limits and keys that are published."""
    return _of_workspace(tenant_id, "published")


def library_key(tenant_id: UUID | str) -> str:
    """Hash: model name → right (own, shared, selected), of all styles that the tenant may use; `@generation`,
    the `Tenant.generation` of it. If it is absent, publish it before serving."""
    return _of_workspace(tenant_id, "library")


def retention_key(name: str) -> str:
    """String: a row of the table of retention was swept; it expires when the row is due again."""
    return f"retention:{name}"


def route_styles_key() -> str:
    """Hash: model name → its style, and the versions that its names lead to; of all workspaces."""
    return "routes:styles"


def route_versions_key() -> str:
    """Hash: version id → what it is, and the engines that have it."""
    return "routes:versions"


def route_engines_key() -> str:
    """Hash: engine name → its address, health and limits."""
    return "routes:engines"


def route_sources_key() -> str:
    """Hash: `style:<id>` or `engine:<name>` → the generation of its rows that the tables have."""
    return "routes:sources"


def route_generation_key() -> str:
    """Number: how often a version's or engine's row has changed. Also the channel of messages about it."""
    return "routes:generation"


# A gateway that missed more changes than these reads the tables of routes whole.
ROUTE_CHANGES_KEPT = 1000


def route_changes_key() -> str:
    """Sorted set: `version <id>` and `engine <name>` by the generation in which the row last changed or
    went; the newest thousand."""
    return "routes:changes"


def route_incarnation_key() -> str:
    """String: a random word, since the three tables were last written whole; absent after a flush."""
    return "routes:incarnation"


def route_building_key(word: str) -> str:
    """String: becomes the incarnation once the tables are whole, unless Valkey is emptied meanwhile."""
    return f"routes:building:{word}"


def key_key(tenant_id: UUID | str, key_id: UUID | str) -> str:
    """Hash: one API key: `state` (live, revoked, unscoped), `expires_at`, `styles`, limits ('': none)."""
    return _of_workspace(tenant_id, f"key:{key_id}")


def account_key(tenant_id: UUID | str, period: str) -> str:
    """Hash of a period: `used` tokens and `spent` nano-USD, `held` tokens and `reserved` nano-USD of open
    requests; each also with `:<key>`. Without `used`: rebuild it from the ledger first."""
    return _of_workspace(tenant_id, f"account:{period}")


def account_key_pattern() -> str:
    """Return the pattern of the accounts of all tenants and periods, for SCAN."""
    return _of_workspace("*", "account:*")


def bucket_key(tenant_id: UUID | str) -> str:
    """Hash: how many sequences are `open` (each request has prompts times `n`), the minute buckets' levels
    `requests` and `tokens`, and `at` (milliseconds); each also with `:<key>`."""
    return _of_workspace(tenant_id, "bucket")


def hold_key(tenant_id: UUID | str, request_id: str) -> str:
    """Hash: one open request's hold, prices and running usage. It exists until settled, once."""
    return _of_workspace(tenant_id, f"hold:{request_id}")


def suspect_key(tenant_id: UUID | str, fingerprint: str) -> str:
    """String: an engine died while this request of a tenant ran; it expires in minutes."""
    return _of_workspace(tenant_id, f"suspect:{fingerprint}")


def leases_key() -> str:
    """Sorted set: `<tenant> <request id>` of each open request, by the end of its lease."""
    return "leases"


def epoch_key() -> str:
    """String: `whole` if no hold can be missing; absent after a flush (`recovery_grace.lua`)."""
    return "epoch"


def replay_key(tenant_id: UUID | str, digest: str) -> str:
    """Hash: the answer to one Idempotency-Key; it expires."""
    return _of_workspace(tenant_id, f"replay:{digest}")


def kept_key(tenant_id: UUID | str) -> str:
    """Sorted set: `<bytes> <replay key>` of each stored answer, by its expiry."""
    return _of_workspace(tenant_id, "kept")


def kept_bytes_key(tenant_id: UUID | str) -> str:
    """Number: the sum of those bytes."""
    return _of_workspace(tenant_id, "kept_bytes")


def login_key(digest: str) -> str:
    """Hash: a login of a command line that waits, or was decided; by its device code. It expires."""
    return f"login:{digest}"


def login_code_key(digest: str) -> str:
    """String: the digest of a login's device code, by the code that a person types. It expires."""
    return f"login:code:{digest}"


def refusals_key(tenant_id: UUID | str, key_id: UUID | str) -> str:
    """Number: refused requests of one key in this minute; it expires."""
    return _of_workspace(tenant_id, f"refusals:{key_id}")


def refused_requests_key(tenant_id: UUID | str) -> str:
    """Stream: a workspace's newest refused requests, on their way to its log."""
    return _of_workspace(tenant_id, "refused")


def refusing_workspaces_key() -> str:
    """Set: the ids of the workspaces that have such a stream."""
    return "refused:workspaces"


def stranger_key(network: str) -> str:
    """Number: refused requests without a valid key from one address in this minute; it expires."""
    return f"refusals:{network}"


def owner_key(digest: str) -> str:
    """String: which tenant and key a secret belongs to, `<tenant>:<key>`; never changes."""
    return f"owner:{digest}"


def reader_seconds_key(tenant_id: UUID | str) -> str:
    """Number: how many seconds a workspace's documents were read in the last hour; it expires."""
    return _of_workspace(tenant_id, "reader_seconds")


def usage_key() -> str:
    """Stream of usage events on their way to the ledger."""
    return "usage"


def refused_usage_key() -> str:
    """Stream of usage events that PostgreSQL refused for good, for an operator to look at."""
    return "usage:refused"


def metrics_key() -> str:
    """Hash: a metric's name and labels → what all processes counted."""
    return "metrics:totals"


def metrics_process_key(process: str) -> str:
    """String: the queues and circuits of one gateway process; it expires in seconds."""
    return f"metrics:process:{process}"


def metrics_processes_key() -> str:
    """Sorted set: the gateway processes, by when they last wrote."""
    return "metrics:processes"


def metrics_tasks_key() -> str:
    """Hash: a task's name → when it last succeeded, in Unix seconds."""
    return "metrics:tasks"


def login_lockouts_key() -> str:
    """Number: how many log-ins were refused after too many wrong passwords."""
    return "metrics:login_lockouts"


def login_turn_key(kind: str, digest: str) -> str:
    """Lock: an attempt to log in is being checked, from an address (`ip`) or to an account (`account`)."""
    return f"login:{kind}:{digest}"


def read_open_holds(store: Any, field: str) -> list[str | None]:
    """Return one field of the hold of each open request."""
    pipeline = store.pipeline(transaction=False)
    for member in store.zrange(leases_key(), 0, -1):
        tenant, request_id = member.split(" ", 1)
        pipeline.hget(hold_key(tenant, request_id), field)
    return list(pipeline.execute())


@cache
def client() -> "redis.Redis":
    """Return the process's synchronous client (a thread-safe pool). Raises redis.RedisError on use."""
    return redis.Redis.from_url(
        settings.VALKEY_URL, decode_responses=True, protocol=2, socket_timeout=5, socket_connect_timeout=2
    )
