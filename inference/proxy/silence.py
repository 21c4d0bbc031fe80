"""Streams whose client waits in silence: one check wakes all that have waited for long, without timers."""

import asyncio
import time
from collections.abc import Callable


class SilenceCheck:
    """All streams of a process that wait for their first part."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._since_s: dict[asyncio.Future[None], float] = {}

    async def wait(self, first_part: "asyncio.Future[bytes]") -> None:
        """Return when a stream's first part is there, or once the client has waited long enough."""
        if first_part.done():
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            _wake(waiting)

        self._since_s[waiting] = self._clock()
        first_part.add_done_callback(wake)
        try:
            await waiting
        finally:
            first_part.remove_done_callback(wake)
            del self._since_s[waiting]

    def wake_late(self) -> None:
        """Wake those that have waited long enough."""
        latest_s = self._clock() - self._patience_s
        for waiting, since_s in self._since_s.items():
            if since_s > latest_s:  # they are in the order of their arrival
                return
            _wake(waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
