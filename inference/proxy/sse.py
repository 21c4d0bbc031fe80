"""What the gateway changes in vLLM's event streams: as few bytes as it can, whole buffers at a time.

Every event carries the running usage, which is kept and taken out; the engine's name of the adapter becomes
the style's name. Nothing else is parsed: a quote inside generated text is escaped in JSON, so an unescaped
`,"usage":` or `"model":` can only be the key itself.
"""

import json
import re
from typing import Any

import orjson

from inference.contract.requests import ParsedRequest
from inference.contract.route import Place, Route
from inference.contract.usage import Usage
from inference.errors import DomainError, EngineBroke
from inference.proxy.vllm import refusal, system_fingerprint

DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error"'
USAGE = b',"usage":'
COUNTED = USAGE + b"{"  # it may be null
FINISH = re.compile(rb'"finish_reason":"(\w+)"')
# Of vLLM's, and in no answer of OpenAI's. Nothing asks for them, so they are null but for the stop's.
NULLS = (b',"token_ids":null', b',"prompt_token_ids":null', b',"prompt_text":null', b',"reasoning":null')
STOP_REASON = re.compile(rb',"stop_reason":(?:null|\d+(?=[,}])|"(?:[^"\\]|\\.)*")')
FINGERPRINT = re.compile(rb'"system_fingerprint":"[^"]*"')
INDEX = re.compile(rb'"choices":\[\{"index":(\d+)')


class EventStream:
    """Turns the engine's bytes into the client's, and keeps the count in `usage`."""

    def __init__(self, parsed: ParsedRequest, route: Route, place: Place, usage: Usage) -> None:
        self._asked, self._route, self._place, self._usage = parsed, route, place, usage
        self._internal, self._public = (
            b'"model":' + json.dumps(name, ensure_ascii=False).encode() for name in (place.model, route.name)
        )
        self._fingerprint = f'"system_fingerprint":"{system_fingerprint(route)}"'.encode()
        self._rest = b""
        self._by_choice: dict[int, Any] = {}
        self._is_done = False

    def feed(self, data: bytes) -> bytes:
        """Return what of these bytes goes to the client. Raises the error that an error event means."""
        data = self._rest + data
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            self._rest = data
            return b""
        self._rest = data[end:]
        events = data[:end]
        if (at := events.find(ERROR)) >= 0:
            self._count(events[:at])
            raise self._failure(events[at + len(b"data: ") : events.index(b"\n\n", at)])
        if events.endswith(DONE):
            self._is_done, events = True, events[: -len(DONE)]
        self._count(events)
        if b'"choices":[]' in events:
            events = self._without_totals(events)
        if self._asked.is_translated:
            return events.replace(self._internal, self._public)
        before, *rest = events.split(USAGE)
        passed = b"".join([before, *map(_without_report, rest)])
        return self._in_openais_form(passed).replace(self._internal, self._public)

    def end(self) -> bytes:
        """Return the last event. Raises EngineBroke when the engine did not say that it was done."""
        if not self._is_done:
            raise EngineBroke
        return DONE

    def _in_openais_form(self, events: bytes) -> bytes:
        """Return the events without the fields that only vLLM's form has."""
        for null in NULLS:
            events = events.replace(null, b"")
        if b'"stop_reason":' in events:
            events = STOP_REASON.sub(b"", events)
        if b'"system_fingerprint":' in events:
            events = FINGERPRINT.sub(self._fingerprint, events)
        return events

    def _failure(self, event: bytes) -> DomainError:
        """Return what an error event means: vLLM refuses some fields only when the stream has begun."""
        try:
            status = int(orjson.loads(event)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            status = 500
        return refusal(status, event, self._asked, self._route, self._place)

    def _count(self, events: bytes) -> None:
        if b'"finish_reason":"' in events:
            self._usage.finish_reason = FINISH.findall(events)[-1].decode()
        if self._asked.choices > 1:
            self._count_choices(events)
        elif (at := events.rfind(COUNTED)) >= 0:
            self._usage.take(_report(events[at + len(USAGE) :]))

    def _count_choices(self, events: bytes) -> None:
        """Sum what each choice reports: with several, the running usage of an event is that of its choice."""
        for event in events.split(b"\n\n"):
            if (at := event.rfind(COUNTED)) < 0:
                continue
            counts = _report(event[at + len(USAGE) :])
            choice = INDEX.search(event)
            if not choice:  # the last event has the totals
                return self._usage.take(counts)
            self._by_choice[int(choice[1])] = counts
            prompts = {index // self._asked.choices_per_prompt: c for index, c in self._by_choice.items()}
            self._usage.take({
                "prompt_tokens": sum(c.get("prompt_tokens", 0) for c in prompts.values()),
                "completion_tokens": sum(c.get("completion_tokens", 0) for c in self._by_choice.values()),
            })  # fmt: skip

    def _without_totals(self, events: bytes) -> bytes:
        """Return the events without the last, which carries only usage, unless the client asked for it."""
        kept, _, last = events[:-2].rpartition(b"\n\n")
        kept = kept + b"\n\n" if kept else b""
        if not self._asked.include_usage:
            return kept
        public = last.replace(self._internal, self._public)
        # A blank hides it from what takes usage out of all other events.
        return kept + public.replace(b',"usage":', b', "usage":') + b"\n\n"


def _without_report(after: bytes) -> bytes:
    """Return what follows a usage object, or all of it where the word was a token among probabilities."""
    is_report = after.startswith((b"{", b"null"))
    return after[_end(after) :] if is_report else USAGE + after


def _report(after: bytes) -> dict[str, Any]:
    """Return the counts that stand at the beginning of some bytes."""
    counts: dict[str, Any] = orjson.loads(after[: _end(after)])
    return counts


def _end(report: bytes) -> int:
    """Return where a usage object ends: null, or flat, or with details inside."""
    if report.startswith(b"null"):
        return 4
    end = report.index(b"}") + 1
    while report.count(b"{", 0, end) > report.count(b"}", 0, end):
        end = report.index(b"}", end) + 1
    return end
