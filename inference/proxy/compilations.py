"""One new grammar of a workspace at a time: compiling one takes CPU from everybody, and can't be stopped."""

import asyncio
import time
from collections import OrderedDict
from uuid import UUID
from weakref import WeakValueDictionary

HELD_FOR_S = 3.0  # after sending: what is accepted compiles in two (grammars.MAX_COST_MS)
MAX_KNOWN = 10_000


class Compilations:
    """Which grammars each engine has compiled, as far as this process knows, and who may send a new one."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def begin(self, tenant_id: UUID, engine: str, grammar: str) -> "Compilation | None":
        """Return the right to send a new grammar to an engine, once no other of the workspace is under way.

        None where the engine has it already. `release` must follow.
        """
        if (engine, grammar) in self._known:
            return None
        lock = self._locks.setdefault(tenant_id, asyncio.Lock())
        await lock.acquire()
        compilation = Compilation(self, lock, (engine, grammar))
        if (engine, grammar) in self._known:  # compiled meanwhile
            compilation.release()
            return None
        return compilation

    def note(self, key: tuple[str, str]) -> None:
        """Note that an engine has compiled a grammar."""
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


class Compilation:
    """One request's turn, which ends with its first byte, or some time after it was sent."""

    def __init__(self, compilations: Compilations, lock: asyncio.Lock, key: tuple[str, str]) -> None:
        self._compilations, self._lock, self._key = compilations, lock, key
        self._timer: asyncio.TimerHandle | None = None
        self._sent_s = 0.0
        self._is_over = False

    def sent(self) -> None:
        """Begin to count the time: the engine has the request now."""
        self._sent_s = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(HELD_FOR_S, self.release)

    def compiled(self) -> float:
        """End the turn with the first byte: the grammar is there. Return how many seconds that took."""
        self._compilations.note(self._key)
        self.release()
        return time.monotonic() - self._sent_s

    def release(self) -> None:
        """End the turn, if it has not ended yet."""
        if self._is_over:
            return
        self._is_over = True
        self._lock.release()
        if self._timer:
            self._timer.cancel()
