"""Files of conversations, as OpenAI's fine-tuning takes them: one JSON object a line, with `messages`.

https://developers.openai.com/api/docs/guides/supervised-fine-tuning#formatting-your-data
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from core.messages import Message as Sentence
from training.notes import FileFault, LineFault
from training.text import count_words

MAX_LINE_BYTES = 1024**2
MAX_LINES = 50_000
LEAST_LINES = 10
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
LINE_FIELDS = {"messages"}
MESSAGE_FIELDS = {"role", "content", "weight"}
TEXT_PART_FIELDS = {"type", "text"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BadLine(Exception):
    """A line that can't be learned."""

    def __init__(self, fault: Sentence) -> None:
        self.fault = fault
        super().__init__(str(fault))


class BadConversations(Exception):
    """A file of conversations that can't be used."""

    def __init__(self, fault: Sentence) -> None:
        self.fault = fault
        super().__init__(str(fault))


@dataclass(frozen=True)
class ChatMessage:
    """One message. An answer is learned unless its weight is 0."""

    role: str
    content: str
    weight: int = 1

    @property
    def is_learned(self) -> bool:
        """Whether a training learns it, as engine/trainer does."""
        return self.role == "assistant" and self.weight == 1 and bool(self.content.strip())

    def as_json(self) -> dict[str, object]:
        """Return the message as the trainer reads it."""
        written: dict[str, object] = {"role": self.role, "content": self.content}
        if self.role == "assistant":
            written["weight"] = self.weight
        return written


@dataclass(frozen=True)
class Conversation:
    """One line of a file."""

    messages: tuple[ChatMessage, ...]

    @property
    def first_answer(self) -> int:
        """The place of the first message that is learned."""
        return next(place for place, message in enumerate(self.messages) if message.is_learned)

    @property
    def answers(self) -> str:
        """All that is learned of it, an answer a line."""
        return "".join(f"{message.content}\n" for message in self.messages if message.is_learned)

    @property
    def answer_words(self) -> int:
        """How many words are learned."""
        return count_words(self.answers)

    def as_line(self) -> bytes:
        """Return the line that the trainer reads."""
        return orjson.dumps({"messages": [message.as_json() for message in self.messages]}) + b"\n"


def read_conversations(
    chunks: Iterable[bytes], *, file: str, least: int = LEAST_LINES
) -> Iterator[tuple[int, Conversation]]:
    """Yield the conversations of a file, whose content comes in chunks, with the numbers of their lines.

    Raises BadConversations, which names the line, for the first one that can't be learned; and at the end,
    if there are too few.
    """
    count = 0
    for number, line in enumerate(split_lines(chunks), start=1):
        if not line.strip():
            continue
        count += 1
        if count > MAX_LINES:
            raise BadConversations(FileFault.TOO_MANY(file=file, limit=MAX_LINES))
        try:
            conversation = read_line(line)
        except BadLine as error:
            raise bad_line(file, number, error) from None
        yield number, conversation
    if count < least:
        raise BadConversations(FileFault.TOO_FEW(file=file, lines=count, least=least))


def bad_line(file: str, number: int, error: BadLine) -> BadConversations:
    """Return the fault of a file with a bad line."""
    return BadConversations(FileFault.LINE(file=file, line=number, fault=error.fault))


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends. One that is too long is yielded as far as it was read, and ends all."""
    rest = b""
    is_first = True
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removeprefix(BYTE_ORDER_MARK) if is_first else line
            is_first = False
        if len(rest) > MAX_LINE_BYTES:
            break
    yield rest.removeprefix(BYTE_ORDER_MARK) if is_first else rest


def read_line(line: bytes) -> Conversation:
    """Return the conversation of one line. Raises BadLine."""
    if len(line) > MAX_LINE_BYTES:
        raise BadLine(LineFault.TOO_LONG(limit=MAX_LINE_BYTES))
    try:
        written = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadLine(LineFault.NOT_JSON()) from None
    if not isinstance(written, dict) or not isinstance(written.get("messages"), list):
        raise BadLine(LineFault.NOT_CHAT())
    _require_known(written, LINE_FIELDS)
    conversation = Conversation(tuple(_read_message(message) for message in written["messages"]))
    _require_answer(conversation)
    return conversation


def _require_known(written: Mapping[str, object], known: set[str]) -> None:
    for field in written:
        if field not in known:
            raise BadLine(LineFault.FIELD(field=field[:100]))


def _require_answer(conversation: Conversation) -> None:
    if not any(message.is_learned for message in conversation.messages):
        raise BadLine(LineFault.NO_ANSWER())
    if conversation.messages[0].is_learned:
        raise BadLine(LineFault.NO_PROMPT())


def _read_message(written: object) -> ChatMessage:
    if not isinstance(written, dict):
        raise BadLine(LineFault.NOT_CHAT())
    _require_known(written, MESSAGE_FIELDS)
    role = written.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise BadLine(LineFault.ROLE())
    weight = written.get("weight", 1)
    is_weight = weight in (0, 1) and not isinstance(weight, bool)
    if not is_weight or ("weight" in written and role != "assistant"):
        raise BadLine(LineFault.WEIGHT())
    return ChatMessage(ROLES[role], _read_content(written.get("content")), int(weight))


def _read_content(content: object) -> str:
    """Return a text, also where it comes as a list of parts of text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadLine(LineFault.CONTENT())
    texts = []
    for part in content:
        is_text = isinstance(part, dict) and part.keys() == TEXT_PART_FIELDS and part["type"] == "text"
        if not is_text or not isinstance(part["text"], str):
            raise BadLine(LineFault.CONTENT())
        texts.append(part["text"])
    return "".join(texts)
