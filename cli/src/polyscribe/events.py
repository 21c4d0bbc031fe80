"""Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    name: str
    data: str


def parse_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Yield the events of a stream's lines. Comments, ids and times to retry are left out."""
    name = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(name or "message", "\n".join(data))
            name = ""
            data = []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
