"""An `asyncio.Event` that is made only while somebody waits: one takes 0.9 KiB, most of them for nobody."""

import asyncio


class LazyEvent:
    """A flag that one task at a time waits for."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Return whether nobody would have to wait."""
        return self._is_set

    def set(self) -> None:
        """Let go on who waits."""
        self._is_set = True
        if self._waiting:
            self._waiting.set()
            self._waiting = None

    def clear(self) -> None:
        """Let the next one wait."""
        self._is_set = False

    async def wait(self) -> None:
        """Return once the flag was set."""
        if self._is_set:
            return
        if self._waiting is None:
            self._waiting = asyncio.Event()
        await self._waiting.wait()
