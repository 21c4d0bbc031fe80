"""The tables version → engines and engine → facts in this process's memory, kept as they are in Valkey.

Admission reads the third one, model name → versions, in Valkey.

A writer that changes a row sends a message, and the cache reads the rows that changed since it last read.
It also polls the generation, so a message that is lost costs a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import redis.asyncio
from redis.exceptions import RedisError

from core import valkey
from inference.contract.route import RouteTables
from inference.errors import LimitsUnavailable
from inference.wire.valkey_client import ValkeyClient, read_hash

LOADED_WITHIN_S = 2.0  # a request waits so long for a process that has just started
WRITTEN_WITHIN_S = 10.0  # and so long for the process that writes all rows after a flush
WRITTEN_POLL_S = 0.05


class RouteCache:
    """Keeps `tables` as Valkey has them. `follow` and `listen` must run beside it.

    `publish_missing` has all rows written to a Valkey that was emptied; until then the tables stay.
    """

    def __init__(
        self, client: ValkeyClient, url: str, publish_missing: Callable[[], Awaitable[None]], *, poll_s: float
    ) -> None:
        self.tables = RouteTables()
        self._client = client
        self._url = url
        self._publish_missing = publish_missing
        self._poll_s = poll_s
        self._incarnation = ""
        self._generation = 0
        self._is_behind = asyncio.Event()
        self._is_loaded = False  # the tables have been read once
        self._loaded = asyncio.Event()
        self._reading = asyncio.Lock()

    async def ensure_loaded(self) -> None:
        """Wait a moment until the tables have been read once. Raises LimitsUnavailable."""
        if self._is_loaded:
            return
        try:
            async with asyncio.timeout(LOADED_WITHIN_S):
                await self._loaded.wait()
        except TimeoutError as error:
            raise LimitsUnavailable from error

    async def follow(self) -> None:
        """Keep up with Valkey for ever: at each message, and every `poll_s` without one."""
        while True:
            with suppress(LimitsUnavailable):
                if not await self.refresh():
                    await self._publish_missing()
                    await self.refresh()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._is_behind.wait()
            self._is_behind.clear()

    async def listen(self) -> None:
        """Hear of changes until the connection breaks. The first message is that it listens."""
        # No timeout: a channel may be silent for long, and the poll finds out what a dead connection hides.
        # The token path's own client knows no subscriptions (decision 9).
        client = redis.asyncio.Redis.from_url(self._url, protocol=2, socket_timeout=None)
        with suppress(RedisError, OSError):
            async with client as connections, connections.pubsub() as channel:
                await channel.subscribe(valkey.route_generation_key())
                async for _ in channel.listen():
                    self._is_behind.set()

    async def refresh(self) -> bool:
        """Read what has changed; return False if Valkey does not have all rows. Raises LimitsUnavailable."""
        async with self._reading:
            generation, incarnation = await self._read_generation()
            if not incarnation:
                return False
            if incarnation != self._incarnation or generation < self._generation:
                await self._read_all(generation, incarnation)
            elif generation > self._generation:
                await self._read_changes(generation)
            return True

    async def refresh_whole(self) -> None:
        """Read what has changed, once all rows are there: another process may be writing them.

        Raises LimitsUnavailable.
        """
        try:
            async with asyncio.timeout(WRITTEN_WITHIN_S):
                while not await self.refresh():  # noqa: ASYNC110 it polls Valkey
                    await asyncio.sleep(WRITTEN_POLL_S)
        except TimeoutError as error:
            raise LimitsUnavailable from error

    async def _read_generation(self) -> tuple[int, str]:
        """Return the generation that Valkey has, and the word that names its tables until it is emptied."""
        generation, incarnation = await self._client.execute(
            "MGET", valkey.route_generation_key(), valkey.route_incarnation_key()
        )
        return int(generation or 0), incarnation or ""

    async def _read_all(self, generation: int, incarnation: str) -> None:
        versions = await self._client.execute("HGETALL", valkey.route_versions_key())
        engines = await self._client.execute("HGETALL", valkey.route_engines_key())
        if await self._is_still(incarnation):
            self.tables.replace(read_hash(versions), read_hash(engines))
            self._incarnation = incarnation
            self._generation = generation  # read before the rows: what changed meanwhile is read again
            self._is_loaded = True
            self._loaded.set()

    async def _read_changes(self, generation: int) -> None:
        """Read the rows that changed since the tables were read; all rows if not all changes are known."""
        since = f"({self._generation}"
        changes = await self._client.execute(
            "ZRANGE", valkey.route_changes_key(), since, "+inf", "BYSCORE", "WITHSCORES"
        )
        # If all changes that Valkey keeps are new to this process, others may be forgotten that were, too.
        if len(changes) // 2 >= valkey.ROUTE_CHANGES_KEPT:
            return await self._read_all(generation, self._incarnation)
        names: dict[str, list[str]] = {"version": [], "engine": []}
        for change in changes[::2]:
            kind, name = change.split(" ", 1)
            names[kind].append(name)
        versions = await self._read_rows(valkey.route_versions_key(), names["version"])
        engines = await self._read_rows(valkey.route_engines_key(), names["engine"])
        if await self._is_still(self._incarnation):
            self.tables.update_versions(versions)
            self.tables.update_engines(engines)
            newest = int(changes[-1]) if changes else 0
            self._generation = max(generation, newest)
        return None

    async def _read_rows(self, table: str, names: list[str]) -> dict[str, str | None]:
        if not names:
            return {}
        rows = await self._client.execute("HMGET", table, *names)
        return dict(zip(names, rows, strict=True))

    async def _is_still(self, incarnation: str) -> bool:
        """Return whether Valkey was not emptied while rows were read."""
        _, incarnation_now = await self._read_generation()
        return incarnation_now == incarnation
