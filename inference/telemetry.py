"""What the data plane tells operators: counts of `inference.metrics`, and a line for each event.

A line names requests, engines and workspaces by their ids, and never has text of a prompt or an answer. So
that an outage fills no disk, each event has at most LINES_PER_S lines a second; the next line says how many
were suppressed.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from core import log_lines
from inference import metrics
from inference.facts import JsonObject

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
        self.logger.log(
            self.level,
            "%s %s",
            self.event,
            pairs,
            extra={log_lines.EVENT: self.event, log_lines.FACTS: facts},
        )


def _format(fact: object) -> str:
    """Return a fact as one word, else in quotes: a client must not be able to forge a line."""
    text = f"{fact:.1f}" if isinstance(fact, float) else str(fact)
    is_one_word = text.isascii() and text.isprintable() and " " not in text
    return text if is_one_word else ascii(text)


@dataclass(eq=False, slots=True)
class RequestRecord:
    """What is known of one request when it is over: ids, words of ours and numbers.

    Nothing that a client wrote is in it. Durations count from the request's arrival: a stage that it did not
    reach is None.
    """

    request_id: str
    endpoint: str = ""
    status: int = 0
    code: str = ""
    workspace: str = ""
    key: str = ""
    style: str = ""
    version: str = ""
    engine: str = ""
    adapter: str = ""
    outcome: str = ""
    stream: bool = False
    attempts: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    body_bytes: int = 0
    admitted_s: float | None = None
    sent_s: float | None = None
    first_byte_s: float | None = None
    total_s: float = 0.0


def request_written(record: RequestRecord) -> None:
    """Count how a request for text went through its stages."""
    metrics.OUTCOMES.add(record.outcome)
    if record.admitted_s is None:
        return
    metrics.STAGES.observe(record.admitted_s, "admission")
    if record.sent_s is None:
        return
    metrics.STAGES.observe(record.sent_s - record.admitted_s, "queue")
    if record.first_byte_s is None:
        return
    if record.stream:  # a whole answer's first byte comes with its last one
        metrics.STAGES.observe(record.first_byte_s - record.sent_s, "engine")
        metrics.FIRST_BYTE.observe(record.first_byte_s, record.adapter)
    metrics.TOKENS.add("prompt", by=record.prompt_tokens)
    if record.cached_tokens:
        metrics.TOKENS.add("cached", by=record.cached_tokens)
    metrics.TOKENS.add("completion", by=record.completion_tokens)


def request_ended(record: RequestRecord) -> None:
    """Count a request by its endpoint, and write its line where access lines are wanted."""
    metrics.REQUESTS.add(record.endpoint, str(record.status))
    metrics.DURATION.observe(record.total_s, record.endpoint)
    if record.code:
        metrics.REFUSALS.add(record.code)
    if log_lines.is_json():
        log_lines.write_line("request", _facts_of(record))


def _facts_of(record: RequestRecord) -> JsonObject:
    """Return what a line says of a request: what is known of it, times in milliseconds."""
    facts: JsonObject = {}
    for name in RequestRecord.__slots__:
        value = getattr(record, name)
        if isinstance(value, float):
            facts[f"{name[:-2]}_ms"] = round(value * 1000, 1)
        elif value:
            facts[name] = value
    return facts


_failures = EventLogger(logging.getLogger("inference.engine"), "engine_failure")
_opened = EventLogger(logging.getLogger("inference.circuit"), "circuit_opened")
_closed = EventLogger(logging.getLogger("inference.circuit"), "circuit_closed")
_settlements = EventLogger(logging.getLogger("inference.settlement"), "settlement_refused")
_errors = EventLogger(logging.getLogger("inference.answer"), "answered_5xx")
_not_stored = EventLogger(logging.getLogger("inference.answer"), "response_not_stored")
_slow = EventLogger(logging.getLogger("inference.answer"), "slow_request")


def engine_failure(*, request: str, tenant: str, engine: str, reason: str, health: str, state: str) -> None:
    """Log that an engine failed at a request, and how far the request was."""
    metrics.FAILURES.add(engine, reason)
    _failures.write(request=request, tenant=tenant, engine=engine, reason=reason, health=health, state=state)


def circuit_opened(*, request: str, engine: str, reason: str) -> None:
    """Log that an engine gets no requests for a while; `request` is the one that failed last."""
    metrics.CIRCUITS_OPENED.add(engine)
    _opened.write(request=request, engine=engine, reason=reason)


def circuit_closed(engine: str) -> None:
    """Log that an engine answers again and gets requests."""
    _closed.write(engine=engine)


def settlement_refused(*, request: str, tenant: str, reason: str, tokens: int) -> None:
    """Log that a settlement found no hold, or one that the sweeper had settled."""
    metrics.SETTLEMENTS_REFUSED.add(reason)
    _settlements.write(request=request, tenant=tenant, reason=reason, tokens=tokens)


def response_not_stored(*, request: str, tenant: str, reason: str) -> None:
    """Log that a response was to be stored and is not; its client reads `store: false`."""
    _not_stored.write(request=request, tenant=tenant, reason=reason)


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
