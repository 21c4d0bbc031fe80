"""Checks of an engine's health after a request failed there: was it the request's fault or the engine's?"""

import asyncio
from typing import Literal

from inference.errors import EngineUnavailable
from inference.proxy import vllm
from inference.wire.http_client import HttpClient

PATH = "/health"
TIMEOUT_S = 2.0

type Health = Literal["up", "down", "silent"]


class HealthChecks:
    """Checks of engines' health. All requests that ask while a check runs share its outcome."""

    def __init__(self, upstream: HttpClient) -> None:
        self._upstream = upstream
        self._running: dict[str, asyncio.Task[Health]] = {}

    async def check(self, url: str) -> Health:
        """Return `up` when it answers well, `down` when it cannot be reached or says 5xx, else `silent`."""
        running = self._running.get(url)
        if running is None:
            running = self._running[url] = asyncio.create_task(self._check(url))
            running.add_done_callback(lambda _: self._running.pop(url))
        # A request whose client hangs up must not end the check of the others.
        return await asyncio.shield(running)

    async def _check(self, url: str) -> Health:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._upstream.get(url, PATH, vllm.request_headers())
        except EngineUnavailable:
            return "down"
        except TimeoutError:
            return "silent"
        response.close()
        # vLLM says 503 when its core has died. An engine without this path (404) is there all the same.
        return "up" if response.status < 500 else "down"
