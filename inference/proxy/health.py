"""What an engine says of its health, asked when a request failed there: was it the request or the engine?"""

import asyncio
from typing import Literal

from inference.errors import EngineUnavailable
from inference.proxy import vllm
from inference.wire.http_client import HttpClient

PATH = "/health"
WITHIN_S = 2.0

type Health = Literal["up", "down", "silent"]


class HealthChecks:
    """Checks of engines' health; who asks while a check runs gets its outcome, too."""

    def __init__(self, upstream: HttpClient) -> None:
        self._upstream = upstream
        self._running: dict[str, asyncio.Task[Health]] = {}

    async def check(self, url: str) -> Health:
        """Return `up` when it answers well, `down` when not at all or that it is ill, else `silent`."""
        running = self._running.get(url)
        if running is None:
            running = self._running[url] = asyncio.create_task(self._check(url))
            running.add_done_callback(lambda _: self._running.pop(url))
        return await asyncio.shield(running)

    async def _check(self, url: str) -> Health:
        try:
            async with asyncio.timeout(WITHIN_S):
                response = await self._upstream.get(url, PATH, vllm.request_headers())
        except EngineUnavailable:
            return "down"
        except TimeoutError:
            return "silent"
        response.close()
        # vLLM says 503 when its core has died. Whoever has no such path is there all the same.
        return "up" if response.status < 500 else "down"
