"""Messages that are stored: a code and its facts. The sentence is made when somebody reads it.

A worker writes down what it waits for, or why something failed. People of several languages read it later,
on a page, in a mail or over the API. So a row has `{"code": …, "facts": {…}}`, and `str(message)` is the
sentence in the active language. A code is the package and the name of an error class, or of a `MessageCode`
and its member. Rows outlive the program: a code that is no longer known is shown with its facts.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from string import Formatter
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext, override

from core import months
from core.errors import DomainError

MAX_FACT_CHARACTERS = 300  # a fact may be from somebody's file
ENCODED = frozenset({"code", "facts"})  # the fields of a message within other JSON
PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

type Fact = str | int | float | bool | Message | None
type Facts = Mapping[str, Fact]


class Message(Promise):
    """A code and its facts. It is read like Django's lazy texts: in the language that is active then.

    `Message()` says nothing: it is false, and reads as an empty text.
    """

    def __init__(self, code: str = "", facts: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.facts = {name: _bounded(fact) for name, fact in (facts or {}).items()}

    @classmethod
    def of(cls, told: "str | DomainError | Message") -> "Message":
        """Return what an error says, or a text by a person or a program of others, as a message."""
        if isinstance(told, cls):
            return told
        if isinstance(told, DomainError):
            return _message_of_error(told)
        return FreeText.FREE_TEXT(text=told) if told else cls()

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Message":
        """Return the message of a row's JSON."""
        return cls(stored["code"], stored["facts"]) if stored else cls()

    def __str__(self) -> str:
        if not self.code:
            return ""
        source = _find(self.code)
        try:
            if isinstance(source, MessageCode):
                return source.render(self.facts)
            if source:
                return source.describe(readable_facts(self.facts))
        except (LookupError, TypeError, ValueError):
            pass  # the sentence has other facts by now
        return self._describe_unknown()

    def in_english(self) -> str:
        """Return the sentence as programs and logs have it."""
        with override("en"):
            return str(self)

    def as_json(self) -> dict[str, Any]:
        """Return what is stored: `{}` if it says nothing."""
        return {"code": self.code, "facts": self.facts} if self.code else {}

    def __bool__(self) -> bool:
        return bool(self.code)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Message):
            return (self.code, self.facts) == (other.code, other.facts)
        return str(self) == other

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        return f"Message({self.code!r}, {self.facts!r})"

    def _describe_unknown(self) -> str:
        """Return the words of the code and the facts: more than nothing, in any language."""
        words = self.code.rpartition(".")[2].replace("_", " ").capitalize()
        facts = ", ".join(f"{name}: {fact}" for name, fact in self.facts.items())
        return f"{words} ({facts})" if facts else words


NO_MESSAGE = Message()


class MessageCode(Enum):
    """Codes of one kind of messages: a name is the code, its value the sentence in English.

    `{names}` in the sentence are facts. A member is called with them: `Waits.SILENT()`.
    """

    def __call__(self, **facts: object) -> Message:
        """Return the message with its facts."""
        return Message(self.code, facts)

    @classmethod
    def named(cls, text: str) -> Message:
        """Return the message of a word that other tables have in English, or the word as it is."""
        return cls(text)() if text in cls._value2member_map_ else Message.of(text)

    @property
    def code(self) -> str:
        """What is stored: `adapters.engine_note.silent`."""
        return f"{_kind(type(self))}.{self.name.lower()}"

    def render(self, facts: Facts) -> str:
        """Return the sentence in the active language."""
        return gettext(self.value).format(**self.show_facts(facts)).strip()

    def show_facts(self, facts: Facts) -> Mapping[str, object]:
        """Return facts as the sentence takes them; a kind of messages may write numbers otherwise."""
        return readable_facts(facts)


class FreeText(MessageCode):
    """What a person wrote, or another program said: the same in every language."""

    FREE_TEXT = "{text}"


class GroupedNumber(int):
    """A whole number. Where a sentence asks for commas it gets what the reader's language has."""

    def __format__(self, spec: str) -> str:
        return number_format(int(self), force_grouping=True) if spec == "," else format(int(self), spec)


class LocalNumber(float):
    """A fraction: with the decimal separator of the reader's language, unless a sentence formats it."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else number_format(float(self))


class MessageEncoder(DjangoJSONEncoder):
    """Writes JSON with messages in it."""

    def default(self, o: object) -> Any:
        """Return a message as what is stored of it, and the rest as Django does."""
        return (o.as_json() or "") if isinstance(o, Message) else super().default(o)


class MessageDecoder(json.JSONDecoder):
    """Reads JSON with messages in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(object_hook=_decode, **options)


def code_of(error: type[DomainError]) -> str:
    """Return what is stored of an error's class: `adapters.engine_unavailable`."""
    return _kind(error)


def read_message(text: str) -> Message:
    """Return the message that a text of JSON is; what is no such JSON is a free text."""
    try:
        message = json.loads(text, cls=MessageDecoder)
    except ValueError:
        return Message.of(text)
    return message if isinstance(message, Message) else Message.of(text)


def write_message(message: Message) -> str:
    """Return a message as a text of JSON."""
    return json.dumps(message, cls=MessageEncoder, ensure_ascii=False)


def descendants[Kind](root: type[Kind]) -> Iterator[type[Kind]]:
    """Yield all classes below one."""
    for child in root.__subclasses__():
        yield child
        yield from descendants(child)


def _message_of_error(error: DomainError) -> Message:
    if error.given is not None:
        return error.given if isinstance(error.given, Message) else Message.of(str(error))
    sentence = type(error).__doc__ or ""
    names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    return Message(code_of(type(error)), {name: error.facts[name] for name in names & error.facts.keys()})


def _find(code: str) -> MessageCode | type[DomainError] | None:
    """Return what has a code: the classes are the list, so nothing is registered."""
    kind, _, member = code.rpartition(".")
    for codes in descendants(MessageCode):
        if _kind(codes) == kind:
            return codes.__members__.get(member.upper())
    for error in descendants(DomainError):
        if _kind(error) == code:
            return error
    return None


def _kind(kind: type) -> str:
    """Return a class's package and its name in snake case."""
    return f"{kind.__module__.partition('.')[0]}.{_snake(kind.__name__)}"


@lru_cache
def _snake(name: str) -> str:
    return WORDS.sub("_", name).lower()


def _bounded(fact: object) -> Fact:
    """Return a fact as JSON and PostgreSQL take it: numbers and messages as they are, else short text."""
    if isinstance(fact, Mapping) and fact.keys() == ENCODED:
        fact = Message.read(fact)  # a message within a message, as a row's JSON has it
    if isinstance(fact, Message):
        return fact or ""
    if fact is None or isinstance(fact, bool | int):
        return fact
    if isinstance(fact, float) and math.isfinite(fact):
        return fact
    with override("en"):
        text = str(fact)[: MAX_FACT_CHARACTERS + 1]
    text = text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= MAX_FACT_CHARACTERS else f"{text[: MAX_FACT_CHARACTERS - 1]}…"


def group_numbers(facts: Facts) -> dict[str, str]:
    """Return facts as texts, whole numbers with the marks of the reader's language."""
    grouped = {}
    for name, fact in readable_facts(facts).items():
        grouped[name] = f"{fact:,}" if isinstance(fact, GroupedNumber) else f"{fact}"
    return grouped


def readable_facts(facts: Facts) -> dict[str, object]:
    """Return facts as sentences take them: messages and months in words, whole numbers to be grouped."""
    readable: dict[str, object] = {}
    for name, fact in facts.items():
        if isinstance(fact, Message):
            readable[name] = str(fact)
        elif isinstance(fact, int) and not isinstance(fact, bool):
            readable[name] = GroupedNumber(fact)
        elif isinstance(fact, float):
            readable[name] = LocalNumber(fact)
        elif name == "period" and isinstance(fact, str) and PERIOD.fullmatch(fact):
            readable[name] = months.in_words(fact)
        else:
            readable[name] = fact
    return readable


def _decode(found: dict[str, Any]) -> Any:
    return Message.read(found) if found.keys() == ENCODED else found
