"""Lines of the log as JSON, one an event: of our own code, of libraries, and of every request.

`configure` says how the process writes them. The line of a request goes out by a shorter way than those of
the `logging` module, because the token path pays for it.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, BinaryIO

import orjson

TEXT = "text"
JSON = "json"
FORMATS = (TEXT, JSON)
# Attributes of a log record that our own events carry: the event's word, and what it says.
EVENT = "polyscribe_event"
FACTS = "polyscribe_facts"
HIDDEN = "[hidden]"
MAX_SEGMENT = 40  # characters of an unknown address's first part
SECRET_NAMES = re.compile(r"authorization|cookie|passw|pepper|secret|token$|api_?key$", re.IGNORECASE)
# Our API keys, Stripe's keys, and passwords in addresses, wherever they are in a text.
SECRETS = re.compile(r"sk-ps-\w+|(?:sk|rk)_(?:live|test)_\w+|whsec_[\w+/=-]+|(?<=://)[^\s/@]*:[^\s/@]+(?=@)")

type Facts = MutableMapping[str, Any]


def hide_secrets(_logger: object, _method: str, facts: Facts) -> Facts:
    """Replace what looks like a secret, by its name or by itself."""
    for name, value in facts.items():
        if SECRET_NAMES.search(name):
            facts[name] = HIDDEN
        elif isinstance(value, str):
            facts[name] = SECRETS.sub(HIDDEN, value)
    return facts


def _spread_facts(_logger: object, _method: str, facts: Facts) -> Facts:
    """Give an event of ours its own word and facts in place of the sentence that a person would read."""
    record = facts.get("_record")
    event = getattr(record, EVENT, None)
    if event:
        facts.update(getattr(record, FACTS))
        facts["event"] = event
    return facts


def _serialize(facts: Facts, **_: object) -> str:
    return orjson.dumps(facts, default=str).decode()


def formatter() -> logging.Formatter:
    """Return what turns a record of the `logging` module into one line of JSON."""
    import structlog  # noqa: PLC0415  only where lines are JSON: it takes 6 MiB

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            _spread_facts,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(serializer=_serialize),
        ],
    )


class HideAddresses(logging.Filter):
    """Write a request's route in place of its address, in which mailed links have their tokens.

    Django's own lines of refused and failed requests have the address, and hand the request over.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep each record."""
        request = getattr(record, "request", None)
        path = getattr(request, "path", None)
        if path and isinstance(record.args, tuple):
            written = path.encode("unicode_escape").decode("ascii")  # as Django hands it over
            shown = _show_route(request, path)
            record.args = tuple(shown if one in (path, written) else one for one in record.args)
        return True


def _show_route(request: Any, path: str) -> str:
    """Return the route of a request; of an address that has none the beginning, which is no token."""
    match = getattr(request, "resolver_match", None)
    if match:
        return f"/{match.route}"
    first, slash, _ = path.lstrip("/").partition("/")
    return f"/{ascii(first[:MAX_SEGMENT])[1:-1]}{'/…' if slash else ''}"


def _standard_error() -> BinaryIO:
    """Return standard error for bytes, also where a test has put something else in its place."""
    return open(sys.stderr.fileno(), "wb", closefd=False)


class _LineWriter:
    """Writes lines of requests and actions, or none."""

    def __init__(self) -> None:
        self.is_on = False
        self._logger: Any = None

    def configure(self, log_format: str, stream: BinaryIO | None) -> None:
        self.is_on = log_format == JSON
        if not self.is_on:
            return
        import structlog  # noqa: PLC0415  as above

        self._logger = structlog.wrap_logger(
            structlog.BytesLogger(stream or _standard_error()),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
        )

    def write(self, event: str, facts: Mapping[str, object]) -> None:
        self._logger.info(event, level="info", **facts)


_writer = _LineWriter()


def configure(log_format: str, stream: BinaryIO | None = None) -> None:
    """Say how this process writes: TEXT (no lines of requests) or JSON, to standard error or a stream."""
    _writer.configure(log_format, stream)


def is_json() -> bool:
    """Return whether each request and each action gets a line."""
    return _writer.is_on


def write_line(event: str, facts: Mapping[str, object]) -> None:
    """Write one line. Only ids, words of ours and numbers may be in it: nothing is hidden here."""
    _writer.write(event, facts)
