"""Adds what this process counted to the totals in Valkey, and tells how its queues and circuits are."""

import json
import os
import socket
import time
from uuid import uuid4

from core import valkey
from inference import metrics
from inference.errors import LimitsUnavailable
from inference.proxy.backends import Backends
from inference.quota import scripts
from inference.wire.valkey_client import Arg, ValkeyClient

STATUS_VALID_MS = 20_000  # four flushes


class MetricsFlush:
    """Writes counts once each: what Valkey did not take is written next time."""

    def __init__(self, client: ValkeyClient, backends: Backends) -> None:
        self.process = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._client = client
        self._record = client.script(scripts.RECORD_METRICS)
        self._backends = backends
        self._owed: dict[str, int] = {}

    async def flush(self, *, in_flight: int, loading: int) -> None:
        """Write the counts and the state. Valkey may be away: then both wait for the next time.

        An answer that is lost on its way is written twice. That is rarer than a lost count would be.
        """
        owed, self._owed = self._owed, {}
        metrics.put_back(metrics.take_pending(), owed)
        args: list[Arg] = [self.process, self._describe(in_flight, loading), STATUS_VALID_MS]
        for name, count in owed.items():
            args += (name, count)
        keys = (
            valkey.metrics_key(),
            valkey.metrics_process_key(self.process),
            valkey.metrics_processes_key(),
        )
        try:
            await self._record(keys, tuple(args))
        except LimitsUnavailable:
            metrics.put_back(owed, self._owed)

    async def leave(self) -> None:
        """Write what is left, and take the state of this process away."""
        await self.flush(in_flight=0, loading=0)
        try:
            await self._client.execute("DEL", valkey.metrics_process_key(self.process))
            await self._client.execute("ZREM", valkey.metrics_processes_key(), self.process)
        except LimitsUnavailable:
            return  # it expires by itself

    def _describe(self, in_flight: int, loading: int) -> str:
        engines = {backend.name: backend.describe() for backend in self._backends}
        return json.dumps(
            {"at_s": int(time.time()), "in_flight": in_flight, "loading": loading, "engines": engines}
        )
