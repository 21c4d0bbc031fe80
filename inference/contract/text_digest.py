"""The SHA-256 of an answer's text, by which a receipt names it. The text itself is never stored."""

import hashlib
import unicodedata

import orjson

from inference.facts import JsonObject


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
