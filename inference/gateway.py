"""What one web process holds open for the data plane: connections and scripts. Made at start-up."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self
from uuid import UUID

import aiohttp
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError, close_old_connections
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from adapters.public import publish_routes
from foundation import months, valkey
from inference import scripts
from inference.admission import Caller
from inference.errors import GateUnavailable, UnknownKey
from inference.metering import rebuild
from tenants.public import digests, find_owner, gate_publish, is_well_formed

OWNERS_MAX = 100_000
UPSTREAM_CONNECTIONS = 1024


class Gateway:
    """Connections to Valkey and the engines, the scripts, and which key belongs to whom."""

    def __init__(self) -> None:
        pool = BlockingConnectionPool.from_url(
            settings.VALKEY_URL, decode_responses=True, max_connections=64, timeout=5,
            socket_timeout=5, socket_connect_timeout=2,
        )  # fmt: skip
        self.redis = Redis.from_pool(pool)
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=UPSTREAM_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=600),
            headers={"authorization": f"Bearer {settings.ENGINE_API_KEY}"},
        )
        self.admission = self.redis.register_script(scripts.ADMISSION)
        self.settlement = self.redis.register_script(scripts.SETTLEMENT)
        self.extension = self.redis.register_script(scripts.EXTENSION)
        # A key never changes its owner, so this needs no expiry; whether it is live is asked every time.
        self._owners: OrderedDict[str, Caller] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()
        await self.redis.aclose()

    async def caller(self, secret: str) -> Caller:
        """Return whose key a secret is. Raises UnknownKey without any look-up when the checksum is wrong."""
        if not is_well_formed(secret):
            raise UnknownKey
        for digest in digests(secret):
            if digest in self._owners or await self._find(digest):
                return self._owners[digest]
        raise UnknownKey

    async def warm(self, tenant_id: UUID) -> None:
        """Write into Valkey all that admission must know of a tenant. Raises GateUnavailable."""
        try:
            await _beside(_publish, tenant_id)
        except (OperationalError, RedisError) as error:
            raise GateUnavailable from error

    async def _find(self, digest: str) -> bool:
        try:
            written: Any = await self.redis.get(valkey.owner_key(digest))
            if written:
                tenant, key = written.split(":", 1)
                owner: tuple[UUID, UUID] | None = (UUID(tenant), UUID(key))
            else:
                owner = await _beside(find_owner, digest)
        except (OperationalError, RedisError) as error:
            raise GateUnavailable from error
        if owner is None:
            return False
        self._owners[digest] = Caller(*owner)
        if len(self._owners) > OWNERS_MAX:
            self._owners.popitem(last=False)
        return True


async def _beside[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a synchronous function returns, in a thread that gives its database connection back."""

    def run() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(run, thread_sensitive=False)()


def _publish(tenant_id: UUID) -> None:
    gate_publish(tenant_id)
    publish_routes(tenant_id)
    rebuild(valkey.client(), tenant_id, months.current())
