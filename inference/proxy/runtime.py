"""What one web process holds for the data plane: facts, engines, quota, tasks, and requests in flight."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from itertools import batched
from typing import Any, Self
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError, close_old_connections
from redis.exceptions import RedisError

from adapters.data_plane import publish_library, publish_missing_tables, request_version
from core import months, valkey
from inference.contract.prompt_length import longest_token
from inference.contract.tokenizer import TokenPool
from inference.errors import EngineBusy, LimitsUnavailable, UnknownKey
from inference.proxy.answer import SilenceCheck
from inference.proxy.backends import Backends
from inference.proxy.bodies import BodyMemory
from inference.proxy.health import HealthChecks
from inference.proxy.metrics_flush import MetricsFlush
from inference.proxy.route_cache import RouteCache
from inference.proxy.settings import ProxySettings
from inference.quota import scripts
from inference.quota.access import KeyAccess
from inference.quota.admission import Caller, InFlight
from inference.quota.ledger_drain import rebuild_counters
from inference.quota.refusals import RefusalLimit
from inference.quota.settlement import Settlement
from inference.wire.http_client import HttpClient
from inference.wire.valkey_client import ValkeyClient
from metering.quota_sync.snapshot import find_owner, is_published, publish_snapshot
from tenants.models.keys import digest_by_peppers, is_well_formed

logger = logging.getLogger(__name__)

MAX_KEY_OWNERS = 100_000
HEARTBEAT_BATCH = 50
LOCK_LEASE_MS = 60_000  # of an idempotency key: a gateway that was killed blocks it no longer
PLACEMENT_REQUEST_EVERY_S = 5  # for one version, however many requests wait for it
MAX_PLACEMENT_REQUESTS = 10_000  # that are remembered


class BackgroundTasks:
    """What runs beside the requests of a process, until it ends."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let a coroutine run to its end; return its task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def aclose(self) -> None:
        """Cancel all that runs, and wait until it has ended."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class Workspaces:
    """Which key belongs to whom, and that Valkey has what admission must know of a workspace."""

    def __init__(
        self,
        client: ValkeyClient,
        refusals: RefusalLimit,
        routes: RouteCache,
        await_recovery: Callable[[], Awaitable[None]],
    ) -> None:
        self._valkey = client
        self._refusals = refusals
        self._routes = routes
        self._await_recovery = await_recovery
        # A key never changes its owner, so this needs no expiry. Admission asks each time whether it is
        # live, and `require_published` forgets one that died long ago.
        self._key_owners: OrderedDict[str, Caller] = OrderedDict()
        self._publishing: dict[tuple[UUID, str], asyncio.Future[None]] = {}

    async def caller(self, secret: str, stranger: Callable[[], str] = str) -> Caller:
        """Return whose key a secret is. Raises UnknownKey, without any look-up when the checksum is wrong.

        `stranger` returns the name in Valkey under which refusals of this client count while its key is
        unknown. Raises TooManyRefusals, before a query to PostgreSQL, where too much was refused under it.
        """
        digests = digest_by_peppers(secret)
        for digest in digests:
            caller = self._key_owners.get(digest)
            if caller:
                return caller
        if is_well_formed(secret):
            for digest in digests:
                caller = await self._find_owner(digest, stranger)
                if caller:
                    return caller
        raise UnknownKey

    async def _find_owner(self, digest: str, stranger: Callable[[], str]) -> Caller | None:
        """Return whose key has a digest, by Valkey or else by PostgreSQL, and remember it."""
        owner: tuple[UUID, UUID] | None
        known = await self._valkey.execute("GET", valkey.owner_key(digest))
        if known:
            tenant_id, key_id = known.split(":", 1)
            owner = (UUID(tenant_id), UUID(key_id))
        else:
            self._refusals.check(stranger())
            owner = await run_in_thread(find_owner, digest)
        if owner is None:
            return None
        caller = self._key_owners[digest] = Caller(*owner, digest)
        if len(self._key_owners) > MAX_KEY_OWNERS:
            self._key_owners.popitem(last=False)
        return caller

    async def ensure_published(self, tenant_id: UUID, period: str) -> None:
        """Write into Valkey all that admission must know of a tenant, once for all concurrent requests.

        After a flush this waits a few seconds, until every live gateway has restored the holds of its
        requests in flight. Else what they still may use could be given away again. Raises LimitsUnavailable.
        """
        subject = (tenant_id, period)
        publishing = self._publishing.get(subject)
        if publishing is None:
            publishing = self._publishing[subject] = asyncio.ensure_future(
                self._publish_tenant(tenant_id, period)
            )
            publishing.add_done_callback(lambda _: self._publishing.pop(subject))
        # A caller that hangs up must not end this for the others.
        await asyncio.shield(publishing)

    async def _publish_tenant(self, tenant_id: UUID, period: str) -> None:
        await self._await_recovery()
        await run_in_thread(_publish, tenant_id, period)
        await self._routes.refresh_whole()

    async def require_published(self, caller: Caller) -> None:
        """Raise UnknownKey, and forget whose key it was, if it died so long ago that nobody publishes it.

        Such a key is missing in Valkey however often its tenant is published. Raises LimitsUnavailable.
        """
        if not await run_in_thread(is_published, caller.key_id):
            self._key_owners.pop(caller.digest, None)
            raise UnknownKey


class Loading:
    """Requests that wait for a style and are not admitted yet, and the calls that have it loaded."""

    def __init__(self, proxy_settings: ProxySettings, tasks: BackgroundTasks) -> None:
        self.settings = proxy_settings
        self._tasks = tasks
        # By workspace, with the bytes of their bodies.
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._requested_s: OrderedDict[str, float] = OrderedDict()

    @contextmanager
    def count(self, tenant: str, body_bytes: int) -> Iterator[None]:
        """Count one request that waits. Raises EngineBusy when too many or too large ones wait."""
        most = self.settings
        requests = self.requests
        sizes = self.bytes
        is_senders_doing = (
            requests[tenant] >= most.loading_max_per_tenant
            or sizes[tenant] + body_bytes > most.loading_max_bytes_per_tenant
        )
        is_full = requests.total() >= most.loading_max or sizes.total() + body_bytes > most.loading_max_bytes
        if is_senders_doing or is_full:
            raise EngineBusy(retry_s=5, tier="loading", is_senders_doing=is_senders_doing)
        requests[tenant] += 1
        sizes[tenant] += body_bytes
        try:
            yield
        finally:
            requests[tenant] -= 1
            sizes[tenant] -= body_bytes
            # A Counter keeps keys at zero, so it would grow with every workspace that ever waited.
            if not requests[tenant]:
                del requests[tenant], sizes[tenant]

    def request_placement(self, version_id: str) -> None:
        """Have a version loaded soon. Many requests that wait for it make one call every few seconds."""
        requested_s = self._requested_s
        now_s = time.monotonic()
        if not version_id or now_s < requested_s.get(version_id, 0) + PLACEMENT_REQUEST_EVERY_S:
            return
        requested_s[version_id] = now_s
        requested_s.move_to_end(version_id)
        if len(requested_s) > MAX_PLACEMENT_REQUESTS:
            requested_s.popitem(last=False)
        self._tasks.spawn(self._request_placement(version_id))

    async def _request_placement(self, version_id: str) -> None:
        with suppress(LimitsUnavailable):  # a request that still waits asks again
            await run_in_thread(request_version, version_id)


class Gateway:
    """All that requests of one process share."""

    def __init__(self, proxy_settings: ProxySettings | None = None) -> None:
        self.settings = proxy_settings or ProxySettings()
        self.tasks = BackgroundTasks()
        self.valkey = ValkeyClient(settings.VALKEY_URL)
        # Quota.
        self.admission = self.valkey.script(scripts.ADMISSION)
        self.access = KeyAccess(self.valkey)
        self.meter = Settlement(self.valkey)
        self.refusals = RefusalLimit(self.valkey)
        # Facts.
        self.routes = RouteCache(
            self.valkey, settings.VALKEY_URL, self._publish_tables, poll_s=self.settings.tables_poll_s
        )
        self.workspaces = Workspaces(self.valkey, self.refusals, self.routes, self._await_recovery)
        self.tokens = TokenPool()
        self.longest_token = longest_token(settings.BASE_MODEL_DIR / "tokenizer.json")
        # Engines.
        self.upstream = HttpClient()
        self.backends = Backends(settings.WEB_WORKERS, self.settings)
        self.health = HealthChecks(self.upstream)
        self.loading = Loading(self.settings, self.tasks)
        # Requests.
        self.in_flight: dict[str, InFlight] = {}
        # By request without a first byte: what rechecks its engine's health.
        self.unanswered: dict[str, Callable[[], None]] = {}
        self.bodies = BodyMemory(self.settings.bodies_max_bytes)
        self.silence = SilenceCheck(self.settings.comment_every_s)
        self.metrics = MetricsFlush(self.valkey, self.backends)
        # Idempotency keys.
        self.acquire_lock = self.valkey.script(scripts.ACQUIRE_LOCK)
        self.release_lock = self.valkey.script(scripts.RELEASE_LOCK)
        self.held_locks: set[str] = set()

    async def __aenter__(self) -> Self:
        beats = (self._send_heartbeats, self._recheck_health, self._flush_metrics, self._check_silence)
        for loop in (*beats, self.routes.follow, self.routes.listen):
            self.tasks.spawn(self._restart_forever(loop))
        self.tasks.spawn(self._begin_recovery())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tasks.aclose()
        await self.metrics.leave()
        self.tokens.close()
        await self.upstream.aclose()
        await self.valkey.aclose()

    async def heartbeat(self, request_id: str) -> None:
        """Tell Valkey, if it answers, how far a request in flight is and where it went."""
        with suppress(LimitsUnavailable):
            request = self.in_flight.get(request_id)
            if request is None:
                return
            was_extended = await self.meter.extend(request)
            # A hold that is gone although nobody settled it meanwhile fell to a flush.
            if not was_extended and request_id in self.in_flight:
                await self.meter.restore(request)

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self.settings.heartbeat_every_s)
            for request_ids in batched(list(self.in_flight), HEARTBEAT_BATCH):
                await _run_all([self.heartbeat(request_id) for request_id in request_ids])
            await _run_all([self._extend_lock(name) for name in list(self.held_locks)])

    async def _recheck_health(self) -> None:
        """Check the engines of requests that wait since the last round; a timer a request would cost more."""
        waited: set[str] = set()
        while True:
            await asyncio.sleep(self.settings.health_recheck_every_s)
            for request_id in waited & self.unanswered.keys():
                self.unanswered[request_id]()
            waited = set(self.unanswered)

    async def _flush_metrics(self) -> None:
        while True:
            await asyncio.sleep(self.settings.metrics_every_s)
            await self.metrics.flush(in_flight=len(self.in_flight), loading=self.loading.requests.total())

    async def _check_silence(self) -> None:
        while True:
            await asyncio.sleep(self.settings.silence_check_every_s)
            self.silence.wake_late()

    async def _restart_forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for ever: log what breaks it, and start it again."""
        while True:
            try:
                await loop()
            except Exception:
                logger.exception("%s broke; it begins again", loop.__name__)
            await asyncio.sleep(self.settings.loop_restart_s)

    async def _extend_lock(self, name: str) -> None:
        with suppress(LimitsUnavailable):
            await self.valkey.execute("PEXPIRE", name, LOCK_LEASE_MS)

    async def _publish_tables(self) -> None:
        await run_in_thread(publish_missing_tables)

    async def _begin_recovery(self) -> None:
        """Start the grace of a fresh Valkey now, not with the first request."""
        with suppress(LimitsUnavailable):
            await self._await_recovery()

    async def _await_recovery(self) -> None:
        grace_ms = self.settings.recovery_grace_ms
        while left_ms := await self.meter.recovery_grace(grace_ms=grace_ms):  # noqa: ASYNC110 it is Valkey's clock
            await asyncio.sleep(left_ms / 1000)


async def _run_all(heartbeats: list[Awaitable[None]]) -> None:
    """Wait for all; one that fails is logged and takes no other with it."""
    for fault in await asyncio.gather(*heartbeats, return_exceptions=True):
        if isinstance(fault, Exception):
            logger.error("a request's heartbeat failed", exc_info=fault)


async def run_in_thread[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a synchronous function returns, in a thread that gives its database connection back.

    Raises LimitsUnavailable when PostgreSQL or Valkey does not answer it.
    """

    def run() -> T:
        # Django does this at the beginning and end of its own requests. These threads see none of them.
        close_old_connections()
        try:
            return function(*args, **kwargs)
        except (OperationalError, RedisError, OSError) as error:
            raise LimitsUnavailable from error
        finally:
            close_old_connections()

    # `thread_sensitive` would put all calls into one thread, where one slow query holds up the others.
    return await sync_to_async(run, thread_sensitive=False)()


def _publish(tenant_id: UUID, period: str) -> None:
    publish_missing_tables()
    publish_snapshot(tenant_id)
    publish_library(tenant_id)
    # Credits pay two months while requests of both may be open.
    for month in (months.before(period), period):
        rebuild_counters(valkey.client(), tenant_id, month)
