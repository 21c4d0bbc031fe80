"""One new grammar at a time of a workspace.

Compiling takes CPU from everybody, up to 0.3 s (decision 82).
"""

import asyncio
import time
from collections import OrderedDict
from weakref import WeakValueDictionary

# Hashes of grammars. One that falls out costs its next request a lock that it did not need.
MAX_KNOWN = 10_000


class Compilations:
    """Which grammars each engine has compiled, as far as this process knows, and who may send a new one.

    A request that sent a new grammar holds its workspace's lock until its first byte, `lock_s` at most.
    """

    def __init__(self, lock_s: float) -> None:
        self.lock_s = lock_s
        # A lock lives while somebody holds it or waits for it, so quiet workspaces keep none.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def begin(self, tenant: str, memory: str, grammar: str) -> "Compilation | None":
        """Return the lock to send a new grammar to an engine, once the workspace has no other under way.

        Returns None where the engine's `memory` has it already. `release` must follow.
        """
        if (memory, grammar) in self._known:
            return None
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        await lock.acquire()
        compilation = Compilation(self, lock, (memory, grammar))
        if (memory, grammar) in self._known:  # compiled while this one waited
            compilation.release()
            return None
        return compilation

    def mark_compiled(self, key: tuple[str, str]) -> None:
        """Note that an engine has compiled a grammar."""
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


class Compilation:
    """The lock of one request. It ends with the first byte, or some time after the request was sent."""

    def __init__(self, compilations: Compilations, lock: asyncio.Lock, key: tuple[str, str]) -> None:
        self._compilations = compilations
        self._lock = lock
        self._key = key
        self._timer: asyncio.TimerHandle | None = None
        self._sent_s = 0.0
        self._is_released = False

    def mark_sent(self) -> None:
        """Start the clock: the engine has the request now."""
        self._sent_s = time.monotonic()
        # What the gateway lets through compiles faster. A first byte that is later waits for something else.
        self._timer = asyncio.get_running_loop().call_later(self._compilations.lock_s, self.release)

    def finish(self) -> float:
        """End the lock with the first byte: the grammar is compiled. Return how many seconds that took."""
        self._compilations.mark_compiled(self._key)
        self.release()
        return time.monotonic() - self._sent_s

    def release(self) -> None:
        """End the lock, if it has not ended yet."""
        if self._is_released:
            return
        self._is_released = True
        self._lock.release()
        if self._timer:
            self._timer.cancel()
