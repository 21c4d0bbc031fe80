"""Free ports on loopback, held so that stacks of several checkouts on one machine never collide."""

import errno
import json
import random
import socket
from collections.abc import Callable
from pathlib import Path

from stack.errors import PortTaken
from stack.folders import private

# below Linux's ephemeral range, or an outgoing connection may sit there
LOWEST = 12_000
HIGHEST = 32_767
TRIES = 500


class Ports:
    """Ports of one stack: the ones that it had last time if they are free, others if not.

    A lock that dies with this process holds each port while its service starts, stops and restarts.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._remembered: dict[str, int] = (
            json.loads(memory.read_text()) if memory and memory.exists() else {}
        )
        self._locks: dict[int, socket.socket] = {}
        self._random = random.SystemRandom()

    def take(
        self,
        name: str,
        *,
        preferred: int | None = None,
        twin_offset: int = 0,
        usable: Callable[[int], bool] = bool,
    ) -> int:
        """Return a free and usable port for `name`: the preferred one, else the one that it had last time.

        With an offset, the port that far above is held too. Raises PortTaken.
        """
        highest = HIGHEST - twin_offset
        candidates = [self._random.randint(LOWEST, highest) for _ in range(TRIES)]
        if name in self._remembered:
            candidates.insert(0, self._remembered[name])
        if preferred:
            candidates.insert(0, preferred)
        for port in candidates:
            if usable(port) and self._hold_all([port, port + twin_offset] if twin_offset else [port]):
                self._remember(name, port)
                return port
        raise PortTaken(
            f"No free port from {LOWEST} to {highest} for {name}. Stop a program that is listening there."
        )

    def take_exactly(self, port: int, *, variable: str) -> int:
        """Return the port that a person asked for. Raises PortTaken, naming the variable to change."""
        if not self._hold_all([port]):
            raise PortTaken(f"Port {port} is in use. Free it, or choose another with {variable}=NUMBER.")
        return port

    def release(self) -> None:
        for lock in self._locks.values():
            lock.close()
        self._locks.clear()

    def _hold_all(self, ports: list[int]) -> bool:
        held = [lock for port in ports if (lock := _hold(port))]
        if len(held) < len(ports):
            for lock in held:
                lock.close()
            return False
        self._locks.update(zip(ports, held, strict=True))
        return True

    def _remember(self, name: str, port: int) -> None:
        self._remembered[name] = port
        if self._memory:
            with open(self._memory, "w", opener=private) as file:
                json.dump(self._remembered, file, indent=2)


def _hold(port: int) -> socket.socket | None:
    """Lock one port for this process, or return None if it is locked or in use.

    The lock is a name in Linux's abstract socket space: every user sees it and none can leave it behind.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0polyscribe-port-{port}")
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    if not _is_free(port):
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's rest is no user
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
