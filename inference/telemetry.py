"""The lines that the data plane logs: one for each thing that an operator would ask about, as `key=value`.

They name requests, engines and workspaces by their ids, never what was asked or answered. An outage must not
fill a disk: of each kind no more than LINES_PER_S a second are written; the next one says how many were not.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

LINES_PER_S = 50
BURST = 500
SLOW_FROM_S = 10.0


@dataclass(eq=False, slots=True)
class Lines:
    """One kind of line; more of them at once than a burst are only counted."""

    logger: logging.Logger
    event: str
    level: int = logging.WARNING
    clock: Callable[[], float] = time.monotonic
    left: float = BURST
    at_s: float = 0.0
    suppressed: int = 0

    def write(self, **facts: object) -> None:
        """Write one line, if there are not too many."""
        now_s = self.clock()
        self.left = min(BURST, self.left + (now_s - self.at_s) * LINES_PER_S)
        self.at_s = now_s
        if self.left < 1:
            self.suppressed += 1
            return
        self.left -= 1
        if self.suppressed:
            facts["suppressed"] = self.suppressed
            self.suppressed = 0
        written = " ".join(f"{name}={_word(fact)}" for name, fact in facts.items())
        self.logger.log(self.level, "%s %s", self.event, written)


def _word(fact: object) -> str:
    """Return a fact as one word, or in quotes: nobody can write a line of their own."""
    word = f"{fact:.1f}" if isinstance(fact, float) else str(fact)
    return word if word.isascii() and word.isprintable() and " " not in word else ascii(word)


_failures = Lines(logging.getLogger("inference.engine"), "engine_failure")
_opened = Lines(logging.getLogger("inference.circuit"), "circuit_opened")
_closed = Lines(logging.getLogger("inference.circuit"), "circuit_closed")
_settlements = Lines(logging.getLogger("inference.settlement"), "settlement_refused")
_errors = Lines(logging.getLogger("inference.answer"), "answered_5xx")
_grammars = Lines(logging.getLogger("inference.grammar"), "grammar_compiled")
_slow = Lines(logging.getLogger("inference.answer"), "slow_request")


def engine_failure(*, request: str, tenant: str, engine: str, reason: str, health: str) -> None:
    """An engine failed at a request, or a request at it."""
    _failures.write(request=request, tenant=tenant, engine=engine, reason=reason, health=health)


def circuit_opened(engine: str, reason: str) -> None:
    """An engine is left alone for a while."""
    _opened.write(engine=engine, reason=reason)


def circuit_closed(engine: str) -> None:
    """An engine that was left alone answers again."""
    _closed.write(engine=engine)


def settlement_refused(*, request: str, tenant: str, reason: str, tokens: int) -> None:
    """A settlement found no hold, or one that the sweeper had settled."""
    _settlements.write(request=request, tenant=tenant, reason=reason, tokens=tokens)


def answered_5xx(*, request: str, status: int, code: str) -> None:
    """A client got an error that is not its own."""
    _errors.write(request=request, status=status, code=code)


def slow_request(*, request: str, tenant: str, engine: str, waited_s: float, outcome: str) -> None:
    """A request waited long for its first byte, or in vain."""
    _slow.write(request=request, tenant=tenant, engine=engine, waited_s=waited_s, outcome=outcome)


def grammar_compiled(*, request: str, tenant: str, engine: str, grammar: str, took_s: float) -> None:
    """An engine got a grammar that was new to it; `took_s` until the first byte."""
    _grammars.write(request=request, tenant=tenant, engine=engine, grammar=grammar, took_s=took_s)
