"""What the data plane logs: one line for each event that an operator would ask about, as `key=value`.

A line names requests, engines and workspaces by their ids, and never has text of a prompt or an answer. So
that an outage fills no disk, each event has at most LINES_PER_S lines a second; the next line says how many
were suppressed.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

LINES_PER_S = 50
BURST = 500
SLOW_FROM_S = 10.0


@dataclass(eq=False, slots=True)
class EventLogger:
    """Logs one kind of event, at a limited rate (a token bucket)."""

    logger: logging.Logger
    event: str
    level: int = logging.WARNING
    clock: Callable[[], float] = time.monotonic
    allowance: float = BURST
    refilled_s: float = 0.0
    suppressed: int = 0

    def write(self, **facts: object) -> None:
        """Write one line, unless there were too many."""
        now_s = self.clock()
        self.allowance = min(BURST, self.allowance + (now_s - self.refilled_s) * LINES_PER_S)
        self.refilled_s = now_s
        if self.allowance < 1:
            self.suppressed += 1
            return
        self.allowance -= 1
        if self.suppressed:
            facts["suppressed"] = self.suppressed
            self.suppressed = 0
        pairs = " ".join(f"{name}={_format(fact)}" for name, fact in facts.items())
        self.logger.log(self.level, "%s %s", self.event, pairs)


def _format(fact: object) -> str:
    """Return a fact as one word, else in quotes: a client must not be able to forge a line."""
    text = f"{fact:.1f}" if isinstance(fact, float) else str(fact)
    is_one_word = text.isascii() and text.isprintable() and " " not in text
    return text if is_one_word else ascii(text)


_failures = EventLogger(logging.getLogger("inference.engine"), "engine_failure")
_opened = EventLogger(logging.getLogger("inference.circuit"), "circuit_opened")
_closed = EventLogger(logging.getLogger("inference.circuit"), "circuit_closed")
_settlements = EventLogger(logging.getLogger("inference.settlement"), "settlement_refused")
_errors = EventLogger(logging.getLogger("inference.answer"), "answered_5xx")
_grammars = EventLogger(logging.getLogger("inference.grammar"), "grammar_compiled")
_slow = EventLogger(logging.getLogger("inference.answer"), "slow_request")


def engine_failure(*, request: str, tenant: str, engine: str, reason: str, health: str, state: str) -> None:
    """Log that an engine failed at a request, and how far the request was."""
    _failures.write(request=request, tenant=tenant, engine=engine, reason=reason, health=health, state=state)


def circuit_opened(engine: str, reason: str) -> None:
    """Log that an engine gets no requests for a while."""
    _opened.write(engine=engine, reason=reason)


def circuit_closed(engine: str) -> None:
    """Log that an engine answers again and gets requests."""
    _closed.write(engine=engine)


def settlement_refused(*, request: str, tenant: str, reason: str, tokens: int) -> None:
    """Log that a settlement found no hold, or one that the sweeper had settled."""
    _settlements.write(request=request, tenant=tenant, reason=reason, tokens=tokens)


def answered_5xx(*, request: str, status: int, code: str) -> None:
    """Log that a client got an error that it did not cause."""
    _errors.write(request=request, status=status, code=code)


def slow_request(
    *, request: str, tenant: str, engine: str, waited_s: float, state: str, outcome: str
) -> None:
    """Log that a request waited long for its first byte, or got none; `state` is how far it came."""
    _slow.write(
        request=request, tenant=tenant, engine=engine, waited_s=waited_s, state=state, outcome=outcome
    )


def grammar_compiled(*, request: str, tenant: str, engine: str, grammar: str, took_s: float) -> None:
    """Log that an engine compiled a new grammar; `took_s` is the time to the first byte."""
    _grammars.write(request=request, tenant=tenant, engine=engine, grammar=grammar, took_s=took_s)
