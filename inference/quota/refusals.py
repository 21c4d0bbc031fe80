"""A limit on refused requests: a client with too many is refused everything for the rest of a minute.

Refusals with a valid key count by the key, so that nobody else can use them up; the others count by the
client's address. Valkey has the counts of all processes. Each process remembers which clients it must refuse.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from inference.errors import LimitsUnavailable, TooManyRefusals
from inference.quota.refusal_log import LogEntry
from inference.quota.scripts import REFUSALS
from inference.wire.valkey_client import ValkeyClient

BODY_BYTES_PER_REFUSAL = 64 * 1024  # a refused body of so many bytes counts once more: reading it is work
MAX_REMEMBERED = 10_000
# Logging costs a fifth of what refusing costs, so a flood of refusals has only some of them in its log.
LOGGED_PER_S = 5


class LogRate:
    """How many refusals of each workspace were logged in this second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._logged: Counter[UUID] = Counter()

    def take(self, tenant_id: UUID) -> bool:
        """Return whether one more is to be logged."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._logged.clear()
        self._logged[tenant_id] += 1
        return self._logged[tenant_id] <= LOGGED_PER_S


class RefusalLimit:
    """Which clients are refused everything, and until when."""

    def __init__(self, valkey: ValkeyClient) -> None:
        self._script = valkey.script(REFUSALS)
        self._until_s: OrderedDict[str, float] = OrderedDict()
        self.log_rate = LogRate()

    def check(self, name: str) -> None:
        """Raise TooManyRefusals when the client that has this name in Valkey is refused everything."""
        until_s = self._until_s.get(name)
        if until_s is None:
            return
        left_s = until_s - time.monotonic()
        if left_s > 0:
            raise TooManyRefusals(retry_s=math.ceil(left_s))
        del self._until_s[name]

    async def count(
        self,
        name: str,
        *,
        body_bytes: int,
        most: int,
        entry: LogEntry | None = None,
    ) -> None:
        """Count one refusal; after more than `most` a minute refuse everything for the rest of the minute.

        With an `entry` it is also in the workspace's log.
        """
        cost = 1 + body_bytes // BODY_BYTES_PER_REFUSAL
        keys, facts = entry or ((), ())
        with suppress(LimitsUnavailable):  # without Valkey nobody is served anyway
            left_ms = await self._script((name, *keys), (cost, most, *facts))
            if left_ms > 0:
                self._until_s[name] = time.monotonic() + left_ms / 1000
                self._until_s.move_to_end(name)
            if len(self._until_s) > MAX_REMEMBERED:
                self._until_s.popitem(last=False)

    async def log(self, entry: LogEntry) -> None:
        """Log a refusal that is no fault of the client's, so it does not count."""
        keys, facts = entry
        with suppress(LimitsUnavailable):
            await self._script(("", *keys), (0, 0, *facts))
