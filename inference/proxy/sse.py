"""What the gateway changes in vLLM's event streams: as few bytes as it can, whole buffers at a time.

Every event carries the running usage: the gateway keeps it and takes it out, unless the client asked for it
(`continuous_usage_stats`). The engine's name of the adapter becomes the style's name. The event that ends a
sequence says whether it is watermarked. The gateway parses nothing else. In JSON a quote inside generated
text is escaped, so an unescaped `,"usage":` or `"model":` can only be the key itself.

Nearly all events of a stream are the same but for their text and their count. What surrounds these is learnt
from the first such event, and is exchanged as a whole in those that follow.
"""

import json
import re
from typing import NamedTuple

import orjson

from inference.contract.requests import ParsedRequest
from inference.contract.route import Placement, Route
from inference.contract.usage import StreamedText, Usage
from inference.contract.watermark import correct_short, mark_faint
from inference.errors import DomainError, EngineBroke
from inference.facts import JsonObject
from inference.proxy.vllm import (
    FAINT,
    STOPPED_BY_GRAMMAR,
    check_grammar_held,
    refusal,
    system_fingerprint,
)

DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error"'
USAGE = b',"usage":'
USAGE_OBJECT = USAGE + b"{"  # the value may also be null
FINISH = re.compile(rb'"finish_reason":"(\w+)"')
FINISHED = b'"finish_reason":"'  # null until then
CHOICES = b'"choices":['
# Fields that only vLLM's answers have. No request asks for them, so all are null but `stop_reason`.
NULL_FIELDS = (
    b',"token_ids":null',
    b',"prompt_token_ids":null',
    b',"prompt_text":null',
    b',"reasoning":null',
)
STOP_REASON = re.compile(rb',"stop_reason":(?:null|\d+(?=[,}])|"(?:[^"\\]|\\.)*")')
GRAMMAR_FAILED = b'"stop_reason":"' + STOPPED_BY_GRAMMAR.encode()
FAINT_ALONE = b'"stop_reason":"' + FAINT.encode() + b'"'
FAINT_BEFORE = FAINT_ALONE[:-1]  # a stop text
FINGERPRINT = re.compile(rb'"system_fingerprint":"[^"]*"')
INDEX = re.compile(rb'"choices":\[\{"index":(\d+)')
# An event with a text and a flat count, as they are between the first one and the last one.
TEXT_EVENT = re.compile(
    rb'(?P<before>data: \{"id":[^{}\[\]]*"choices":\[\{"index":0,(?:"delta":\{"content"|"text"):")'
    rb'(?P<text>(?:[^"\\]|\\[^"])*)'  # without an escaped quote, which would end it too early
    rb'(?P<after>"[^{}\[\]]*\}(?:[^{}\[\]]*\})?\],"usage":\{)'
    rb"[^{}]*\}\}"
)
LEARNING_EVENTS = 4  # a stream whose first events are no such events has none


class Template(NamedTuple):
    """What is around the text of most events of one stream, from the engine and for the client."""

    before: bytes
    after: bytes
    public_before: bytes
    public_after: bytes


class EventStream:
    """Turns the engine's bytes into the client's, and keeps the count in `usage`."""

    def __init__(self, parsed: ParsedRequest, route: Route, placement: Placement, usage: Usage) -> None:
        self._parsed = parsed
        self._route = route
        self._usage = usage
        self._internal_model = _model_field(placement.model)
        self._public_model = _model_field(route.name)
        self._fingerprint = f'"system_fingerprint":"{system_fingerprint(route)}"'.encode()
        self._word = usage.watermark  # of a sequence whose end has not come
        self._rest = b""  # of an event that is not complete yet
        self._counts_by_choice: dict[int, JsonObject] = {}
        self._is_done = False
        self._template: Template | None = None
        # Events of several choices differ in more than text and count. Translated answers are not passed on
        # as they are, nor is a running usage.
        is_alike = parsed.choices == 1 and not parsed.is_translated and not parsed.running_usage
        self._learns_from = LEARNING_EVENTS if is_alike else 0
        self._text = StreamedText() if parsed.choices == 1 else None

    def feed(self, data: bytes) -> bytes:
        """Return what of these bytes goes to the client. Raises the error that an error event means."""
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            self._rest = data
            return b""
        self._rest = data[end:]
        if self._template or self._learns_from:
            return self._exchange_events(data[: end - 2].split(b"\n\n"))
        return self._translate(data[:end])

    def end(self) -> bytes:
        """Return the last event. Raises EngineBroke when the engine stopped without it."""
        if not self._is_done:
            raise EngineBroke
        if self._text:
            self._usage.text_sha256 = self._text.digest()
        return DONE

    def _exchange_events(self, events: list[bytes]) -> bytes:
        """Return events for the client, those by the template that are like it."""
        parts: list[bytes] = []
        last_exchanged = b""  # its count is that of all before it
        template = self._template
        for event in events:
            if template and event.startswith(template.before):
                begin = len(template.before)
                end = event.find(b'"', begin)
                # An escaped quote ends the text too early; what follows it is not what follows a text.
                is_alike = event.startswith(template.after, end) and event.endswith(b"}}")
                if is_alike and event.find(b"{", end + len(template.after)) < 0:  # else a count with details
                    text = event[begin:end]
                    if self._text:
                        self._text.add_escaped(text)
                    parts += (template.public_before, text, template.public_after)
                    last_exchanged = event
                    continue
            self._count_text(last_exchanged)
            last_exchanged = b""
            public = self._translate(event + b"\n\n")
            self._learn(event, public)
            template = self._template
            parts.append(public)
        self._count_text(last_exchanged)
        return b"".join(parts)

    def _learn(self, event: bytes, public: bytes) -> None:
        """Keep the template that an event gives, with what the client got for it, if it gives one."""
        if self._template or not self._learns_from:
            return
        self._learns_from -= 1
        match = TEXT_EVENT.fullmatch(event)
        if match is None:
            return
        before, text, after = match.groups()
        public_before = before.replace(self._internal_model, self._public_model)
        if public.startswith(public_before + text + b'"'):
            public_after = public[len(public_before) + len(text) :]
            self._template = Template(before, after, public_before, public_after)

    def _count_text(self, event: bytes) -> None:
        """Keep the count of an event that is like the template; b"" has none."""
        if event:
            count_at = event.rfind(b"{")
            self._usage.read_reported(orjson.loads(event[count_at:-1]))

    def _translate(self, events: bytes) -> bytes:
        """Return whole events for the client. Raises the error that an error event means."""
        error_at = events.find(ERROR)
        if error_at >= 0:
            self._count(events[:error_at])
            error_event = events[error_at + len(b"data: ") : events.index(b"\n\n", error_at)]
            raise self._failure(error_event)
        # `find`: `in` asks first whether bytes are a number, which costs an exception each time.
        if events.find(GRAMMAR_FAILED) >= 0:
            self._raise_grammar_failure(events)
        if events.endswith(DONE):
            self._is_done = True
            events = events[: -len(DONE)]
        self._count(events)
        if self._text:
            self._text.add_events(events)
        if self._word and events.find(FINISHED) >= 0:
            events = self._add_watermark(events)
        if events.find(b'"choices":[]') >= 0:
            events = self._without_totals(events)
        if self._parsed.is_translated:
            return events.replace(self._internal_model, self._public_model)
        # Splitting takes 0.2 µs an event, a pattern 10.6 µs.
        before, *others = events.split(USAGE)
        read_rest = _with_public_usage if self._parsed.running_usage else _without_usage
        public = b"".join([before, *map(read_rest, others)])
        return self._in_openais_form(public).replace(self._internal_model, self._public_model)

    def _add_watermark(self, events: bytes) -> bytes:
        """Return events with what is said of the watermark in each that ends a sequence."""
        described = []
        for event in events.split(b"\n\n"):
            usage_at = event.rfind(USAGE_OBJECT)
            if FINISHED not in event or usage_at < 0:
                described.append(event)
                continue
            # With several choices, too, an event's count is that of its own.
            tokens = _read_usage(event[usage_at + len(USAGE) :]).get("completion_tokens", 0)
            word = self._word
            is_faint = FAINT_BEFORE in event
            if is_faint:
                word = self._usage.watermark = mark_faint(word)
            word = correct_short(word, completion_tokens=tokens, sequences=1)
            public = event.replace(CHOICES, f'"watermark":"{word}",'.encode() + CHOICES, 1)
            described.append(_without_faint(public) if is_faint else public)
        return b"\n\n".join(described)

    def _in_openais_form(self, events: bytes) -> bytes:
        """Return the events without the fields that only vLLM's form has."""
        for null_field in NULL_FIELDS:
            events = events.replace(null_field, b"")
        if events.find(b'"stop_reason":') >= 0:
            events = STOP_REASON.sub(b"", events)
        if events.find(b'"system_fingerprint":') >= 0:
            events = FINGERPRINT.sub(self._fingerprint, events)
        return events

    def _failure(self, event: bytes) -> DomainError:
        """Return what an error event means. vLLM refuses some fields only after the stream has begun."""
        try:
            status = int(orjson.loads(event)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            status = 500
        return refusal(status, event, self._parsed, self._route)

    def _raise_grammar_failure(self, events: bytes) -> None:
        """Raise what an event means that ended an answer whose form the engine could not follow."""
        failed_at = events.index(GRAMMAR_FAILED)
        self._count(events[: events.index(b"\n\n", failed_at) + 2])
        reason = events[failed_at + len(b'"stop_reason":"') :].split(b'"', 1)[0]
        check_grammar_held(reason.decode(), self._usage)

    def _count(self, events: bytes) -> None:
        if events.find(FINISHED) >= 0:
            self._usage.finish_reason = FINISH.findall(events)[-1].decode()
        if self._parsed.choices > 1:
            self._count_choices(events)
            return
        usage_at = events.rfind(USAGE_OBJECT)
        if usage_at >= 0:
            self._usage.read_reported(_read_usage(events[usage_at + len(USAGE) :]))

    def _count_choices(self, events: bytes) -> None:
        """Sum what each choice reports: with several, the running usage of an event is that of its choice."""
        for event in events.split(b"\n\n"):
            usage_at = event.rfind(USAGE_OBJECT)
            if usage_at < 0:
                continue
            counts = _read_usage(event[usage_at + len(USAGE) :])
            choice = INDEX.search(event)
            if not choice:  # the last event has the totals
                self._usage.read_reported(counts)
                return
            self._counts_by_choice[int(choice[1])] = counts
            self._usage.read_reported(self._sum_choices())

    def _sum_choices(self) -> dict[str, int]:
        """Return the sums of all choices; those of one prompt each report the same prompt."""
        prompt_tokens_by_prompt: dict[int, int] = {}
        completion_tokens = 0
        for index, counts in self._counts_by_choice.items():
            prompt = index // self._parsed.choices_per_prompt
            prompt_tokens_by_prompt[prompt] = counts.get("prompt_tokens", 0)
            completion_tokens += counts.get("completion_tokens", 0)
        return {
            "prompt_tokens": sum(prompt_tokens_by_prompt.values()),
            "completion_tokens": completion_tokens,
        }

    def _without_totals(self, events: bytes) -> bytes:
        """Return the events without the last, which carries only usage, unless the client requested it."""
        kept, _, last = events[:-2].rpartition(b"\n\n")
        kept = kept + b"\n\n" if kept else b""
        if not self._parsed.include_usage:
            return kept
        public = last.replace(self._internal_model, self._public_model)
        if self._parsed.is_translated:
            return kept + public + b"\n\n"
        before, *others = public.split(USAGE)
        usage = b"".join(map(_with_public_usage, others))
        # The blank hides this usage from `_translate`, which takes it out of all other events.
        return kept + before + usage.replace(USAGE, b', "usage":') + b"\n\n"


def _model_field(name: str) -> bytes:
    return b'"model":' + json.dumps(name, ensure_ascii=False).encode()


def _without_faint(event: bytes) -> bytes:
    """Return an event with vLLM's own `stop_reason`: null, or the stop text that it found."""
    return event.replace(FAINT_ALONE, b'"stop_reason":null').replace(FAINT_BEFORE, b'"stop_reason":"')


def _without_usage(after: bytes) -> bytes:
    """Return what follows a usage object, or all of it where the word was a token among probabilities."""
    is_usage = after.startswith((b"{", b"null"))
    return after[_usage_end(after) :] if is_usage else USAGE + after


def _with_public_usage(after: bytes) -> bytes:
    """Return what follows the name of a usage object, and that name, with the object in its public form."""
    if not after.startswith(b"{"):
        return USAGE + after
    end = _usage_end(after)
    return USAGE + orjson.dumps(Usage().describe(orjson.loads(after[:end]))) + after[end:]


def _read_usage(after: bytes) -> JsonObject:
    """Return the counts at the beginning of some bytes."""
    counts: JsonObject = orjson.loads(after[: _usage_end(after)])
    return counts


def _usage_end(usage: bytes) -> int:
    """Return where a usage object ends: null, flat, or with details inside."""
    if usage.startswith(b"null"):
        return 4
    end = usage.index(b"}") + 1
    while usage.count(b"{", 0, end) > usage.count(b"}", 0, end):
        end = usage.index(b"}", end) + 1
    return end
