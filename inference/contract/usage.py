"""What one request got from the engine: the tokens as it counted them, and whether it watermarked them."""

import hashlib
import unicodedata
from dataclasses import dataclass

import orjson

from inference.facts import JsonObject
from metering.style_usage import EMPTY

# The SHA-256 of an answer's text, by which a receipt names it. The text itself is never stored.


def digest_text(text: str) -> str:
    """Return the SHA-256 in hex of a text as copying leaves it.

    That is in Unicode's normal form C, with line feeds alone, and without blanks at its ends.
    """
    normal = text.replace("\r\n", "\n")
    if not normal.isascii():
        normal = unicodedata.normalize("NFC", normal)
    return hashlib.sha256(normal.strip().encode(errors="surrogatepass")).hexdigest()


def text_of(choice: JsonObject, part: str) -> str:
    """Return the text of a choice, whose text is in `part` if it is a chat's: `message` or `delta`."""
    text = choice.get("text") or (choice.get(part) or {}).get("content")
    return text if isinstance(text, str) else ""


class StreamedText:
    """The text of a stream, as the JSON of its events has it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        # Takes the text within an event's quotes as it is: it is called for nearly every event.
        self.add_escaped = self._parts.append

    def add_events(self, events: bytes) -> None:
        """Add the text of whole events."""
        for event in events.split(b"\n\n"):
            if event.startswith(b"data: {"):
                for choice in orjson.loads(event[len(b"data: ") :]).get("choices") or ():
                    self._parts.append(orjson.dumps(text_of(choice, "delta"))[1:-1])

    def digest(self) -> str:
        """Return the SHA-256 of the text, "" if there is none."""
        escaped = b"".join(self._parts)
        return digest_text(orjson.loads(b'"' + escaped + b'"')) if escaped else ""


@dataclass
class Usage:
    """The engine's running count of one request, in tokens; `watermark` is what is said of the mark."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    finish_reason: str = ""
    cache_written: int = 0  # of the prompt, too; it is shown and not billed apart
    watermark: str = ""  # see contract/watermark.py
    text_sha256: str = ""  # of a complete answer of one sequence, in hex
    constrained: str = ""  # see contract/requests.py

    def read_reported(self, reported: JsonObject) -> None:
        """Keep the counts of a `usage` object that the engine reported."""
        details = reported.get("prompt_tokens_details") or {}
        self.prompt = reported.get("prompt_tokens") or 0
        self.cached = min(details.get("cached_tokens") or 0, self.prompt)
        written = details.get("created_cache_tokens") or 0
        self.cache_written = min(written, self.prompt - self.cached)
        self.completion = reported.get("completion_tokens") or 0

    def describe(self, reported: JsonObject) -> JsonObject:
        """Keep those counts; return them in OpenAI's form, without what only vLLM has."""
        self.read_reported(reported)
        described: JsonObject = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }
        if reported.get("prompt_tokens_details"):
            described["prompt_tokens_details"] = {
                "cached_tokens": self.cached,
                "cache_write_tokens": self.cache_written,
            }
        return described

    def reset(self) -> None:
        """Reset all counts: the engine failed before the first token."""
        self.prompt = self.cached = self.completion = self.cache_written = 0
        self.finish_reason = self.watermark = self.text_sha256 = ""

    def mark_empty(self, choices: int) -> None:
        """Set the reason of an empty answer, so that the ledger shows it."""
        # Each choice counts the token that ended it. An answer of one token that was cut by `max_tokens`
        # (`length`) is not empty.
        if self.completion <= choices and self.finish_reason != "length":
            self.finish_reason = EMPTY

    @property
    def tokens(self) -> int:
        """The prompt's tokens and the completion's."""
        return self.prompt + self.completion

    def serialize(self) -> str:
        """Return the counts as a hold stores them."""
        return f"{self.prompt} {self.cached} {self.completion}"
