"""What one web process holds for the data plane: connections, scripts, routing, and requests in flight."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from itertools import batched
from typing import Any, Self
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError, close_old_connections
from redis.exceptions import RedisError

from adapters.public import publish_routes, request_version
from foundation import valkey
from inference.contract.prompt_length import longest_token
from inference.contract.token_pool import TokenPool
from inference.contract.usage import Usage
from inference.errors import GateUnavailable, UnknownKey
from inference.proxy.backends import Backends
from inference.proxy.bodies import BodyMemory
from inference.proxy.compilations import Compilations
from inference.proxy.health import HealthChecks
from inference.quota import scripts
from inference.quota.admission import Caller, Grant
from inference.quota.ledger_drain import rebuild_counters
from inference.quota.refusals import RefusalLimit
from inference.quota.settlement import Settlement
from inference.wire.http_client import HttpClient
from inference.wire.valkey_client import ValkeyClient
from tenants.public import digest_by_peppers, find_owner, is_well_formed, publish_snapshot

logger = logging.getLogger(__name__)

OWNERS_MAX = 100_000
BEGINS_AGAIN_AFTER_S = 0.5  # less than a lease, so that no request in flight loses its hold
BEAT_S = 2  # so often a request in flight tells Valkey how far it is
BEAT_TOGETHER = 50
WATCH_EVERY_S = 3  # a request that waited so long for an engine's first byte looks whether another is better
CLAIMED_FOR_MS = 60_000  # an idempotency key of a request in flight; a killed gateway blocks it no longer
GRACE_MS = 2 * BEAT_S * 1000 + 1000  # after a flush: until every live gateway has had its beat
DEMAND_EVERY_S = 5  # for one version, however many wait for it
DEMANDS_REMEMBERED = 10_000


class Gateway:
    """Connections to Valkey and the engines, which key belongs to whom, and what is in flight."""

    def __init__(self) -> None:
        self.valkey = ValkeyClient(settings.VALKEY_URL)
        self.upstream = HttpClient()
        self.admission = self.valkey.script(scripts.ADMISSION)
        self.claiming = self.valkey.script(scripts.ACQUIRE_LOCK)
        self.release_lock = self.valkey.script(scripts.RELEASE_LOCK)
        self.meter = Settlement(self.valkey)
        self.routing = Backends(settings.WEB_WORKERS)
        self.refusals = RefusalLimit(self.valkey)
        self.bodies = BodyMemory()
        self.tokens = TokenPool()
        self.longest_token = longest_token(settings.BASE_MODEL_DIR / "tokenizer.json")
        self.in_flight: dict[str, tuple[Grant, Usage]] = {}
        self.unanswered: dict[str, Callable[[], Awaitable[None]]] = {}  # by request: how it looks around
        self.health = HealthChecks(self.upstream)
        self.loading: Counter[UUID] = Counter()  # by tenant: requests that wait for a style, not admitted yet
        self.loading_bytes: Counter[UUID] = Counter()  # and the size of their bodies
        self.claims: set[str] = set()
        self.compilations = Compilations()
        # A key never changes its owner, so this needs no expiry; whether it is live is asked every time.
        self._owners: OrderedDict[str, Caller] = OrderedDict()
        self._demanded_s: OrderedDict[str, float] = OrderedDict()
        self._warming: dict[tuple[UUID, str], asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self.keep(_restart_forever(self._beat))
        self.keep(_restart_forever(self._watch))
        self.keep(self._await_all_recoveries())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.tokens.close()
        await self.upstream.aclose()
        await self.valkey.aclose()

    async def caller(self, secret: str, stranger: Callable[[], str] = str) -> Caller:
        """Return whose key a secret is. Raises UnknownKey, without any look-up when the checksum is wrong.

        `stranger` returns the name in Valkey of who asks if it is nobody's. Raises TooManyRefusals for those
        to whom too much was refused, before PostgreSQL is asked.
        """
        known = digest_by_peppers(secret)
        for digest in known:
            if caller := self._owners.get(digest):
                return caller
        if is_well_formed(secret):
            for digest in known:
                if caller := await self._find(digest, stranger):
                    return caller
        raise UnknownKey

    async def warm(self, tenant_id: UUID, period: str) -> None:
        """Write into Valkey all that admission must know of a tenant, once for all who ask meanwhile.

        After a flush this waits a few seconds, until every live gateway has put the holds of its requests in
        flight back: else what they still may use could be given away again. Raises GateUnavailable.
        """
        what = (tenant_id, period)
        warming = self._warming.get(what)
        if warming is None:
            warming = self._warming[what] = asyncio.ensure_future(self._warm(tenant_id, period))
            warming.add_done_callback(lambda _: self._warming.pop(what))
        await asyncio.shield(warming)

    async def check(self) -> None:
        """Return when Valkey answers: nothing else is needed to serve. Raises GateUnavailable."""
        await self.valkey.execute("PING")

    def demand(self, version_id: str) -> None:
        """Have a version loaded, soon: asked for once, however many requests wait for it."""
        now_s, asked_s = time.monotonic(), self._demanded_s
        if version_id and now_s >= asked_s.get(version_id, 0) + DEMAND_EVERY_S:
            asked_s[version_id] = now_s
            asked_s.move_to_end(version_id)
            if len(asked_s) > DEMANDS_REMEMBERED:
                asked_s.popitem(last=False)
            self.keep(self._demand(version_id))

    async def beat(self, request_id: str) -> None:
        """Tell Valkey, if it answers, how far a request in flight is and where it went."""
        with suppress(GateUnavailable):
            open_one = self.in_flight.get(request_id)
            if open_one is None or await self.meter.extend(*open_one):
                return
            if request_id in self.in_flight:  # not settled meanwhile: Valkey was flushed
                await self.meter.restore(*open_one)

    def keep[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let a coroutine run to its end beside the requests; return its task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            ids = list(self.in_flight)
            for at in range(0, len(ids), BEAT_TOGETHER):
                await _all_of([self.beat(one) for one in ids[at : at + BEAT_TOGETHER]])
            await _all_of([self._hold_claim(name) for name in list(self.claims)])

    async def _watch(self) -> None:
        """Let those look around who wait since the last time; a timer for each request would cost more."""
        waited: set[str] = set()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for ids in batched(waited & self.unanswered.keys(), BEAT_TOGETHER):
                looks = [self.unanswered[one] for one in ids if one in self.unanswered]
                await _all_of([look() for look in looks])
            waited = set(self.unanswered)

    async def _demand(self, version_id: str) -> None:
        with suppress(GateUnavailable):  # who still waits asks again
            await _run_in_thread(request_version, version_id)

    async def _hold_claim(self, name: str) -> None:
        with suppress(GateUnavailable):
            await self.valkey.execute("PEXPIRE", name, CLAIMED_FOR_MS)

    async def _warm(self, tenant_id: UUID, period: str) -> None:
        await self._await_recovery(valkey.shard(tenant_id))
        await _run_in_thread(_publish, tenant_id, period)

    async def _await_recovery(self, tag: str) -> None:
        while left_ms := await self.meter.recovery_grace(tag, grace_ms=GRACE_MS):  # noqa: ASYNC110 it is Valkey's clock
            await asyncio.sleep(left_ms / 1000)

    async def _await_all_recoveries(self) -> None:
        """Begin the grace of a fresh Valkey now, not with the first request."""
        with suppress(GateUnavailable):
            await asyncio.gather(*map(self._await_recovery, valkey.tags()))

    async def _find(self, digest: str, stranger: Callable[[], str]) -> Caller | None:
        written = await self.valkey.execute("GET", valkey.owner_key(digest))
        if written:
            tenant, key = written.split(":", 1)
            owner: tuple[UUID, UUID] | None = (UUID(tenant), UUID(key))
        else:
            self.refusals.check(stranger())
            owner = await _run_in_thread(find_owner, digest)
        if owner is None:
            return None
        caller = self._owners[digest] = Caller(*owner)
        if len(self._owners) > OWNERS_MAX:
            self._owners.popitem(last=False)
        return caller


async def _restart_forever(work: Callable[[], Awaitable[None]]) -> None:
    """Let something run for ever: what breaks it is logged, and it begins again."""
    while True:
        try:
            await work()
        except Exception:
            logger.exception("%s broke; it begins again", work.__name__)
        await asyncio.sleep(BEGINS_AGAIN_AFTER_S)


async def _all_of(works: list[Awaitable[None]]) -> None:
    """Wait for all; one that fails is logged and takes no other with it."""
    for fault in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(fault, Exception):
            logger.error("a request's heartbeat failed", exc_info=fault)


async def _run_in_thread[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a synchronous function returns, in a thread that gives its database connection back.

    Raises GateUnavailable when PostgreSQL or Valkey does not answer it.
    """

    def run() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        except (OperationalError, RedisError, OSError) as error:
            raise GateUnavailable from error
        finally:
            close_old_connections()

    return await sync_to_async(run, thread_sensitive=False)()


def _publish(tenant_id: UUID, period: str) -> None:
    publish_snapshot(tenant_id)
    publish_routes(tenant_id)
    rebuild_counters(valkey.client(), tenant_id, period)
