"""A form with a file in it (multipart/form-data), read as it comes: its file is never whole in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drf_spectacular.drainage import set_override
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from rest_framework import serializers

from core.rest.bodies import StrictSerializer
from inference.public import BadRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


# How a job learns: what it is asked for, and shown with.

AUTO = "auto"
SUPERVISED = "supervised"


class AutoField(serializers.Field[Any, Any, Any, Any]):
    """A number within bounds, or `auto`."""

    def __init__(self, *, kind: type[int] | type[float], least: float, most: float) -> None:
        super().__init__(required=False, allow_null=True)
        number = {"type": "integer" if kind is int else "number", "minimum": least, "maximum": most}
        set_override(self, "field", {"oneOf": [{"type": "string", "enum": [AUTO]}, number]})
        self._kind = kind
        self._least = least
        self._most = most

    def to_internal_value(self, data: Any) -> int | float | str:
        """Return the number, or `auto`. Raises ValidationError."""
        if data == AUTO:
            return AUTO
        is_number = isinstance(data, int | self._kind) and not isinstance(data, bool)
        if not is_number or not self._least <= data <= self._most:
            raise serializers.ValidationError(f"Must be `auto`, or between {self._least} and {self._most}.")
        return self._kind(data)

    def to_representation(self, value: Any) -> Any:
        """Return the value as it is."""
        return value


class HyperparametersBody(StrictSerializer):
    """How a job learns."""

    n_epochs = AutoField(kind=int, least=1, most=50)
    batch_size = AutoField(kind=int, least=1, most=256)
    learning_rate_multiplier = AutoField(kind=float, least=0.01, most=10)


class SupervisedBody(StrictSerializer):
    """The settings of the only method that there is."""

    hyperparameters = HyperparametersBody(required=False, allow_null=True)


class MethodBody(StrictSerializer):
    """How a job learns."""

    type = serializers.ChoiceField([SUPERVISED])
    supervised = SupervisedBody(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values. Raises ValidationError, for another method before its own fields."""
        if isinstance(data, dict) and data.get("type", SUPERVISED) != SUPERVISED:
            raise serializers.ValidationError(
                {"type": [f"Only `{SUPERVISED}` is available here: send pairs of prompts and answers."]}
            )
        return super().to_internal_value(data)


READ_BYTES = 64 * 1024
MAX_FIELD_BYTES = 16 * 1024
MAX_FIELDS = 20
FORM = b"multipart/form-data"

type Read = Callable[[int], bytes]


@dataclass
class Part:
    """One part of a form: a field, or a file where it has a file name."""

    name: str
    file_name: str | None
    value: bytearray = field(default_factory=bytearray)  # a field's


@dataclass
class _Events:
    """What the parser found in the bytes that it was given last."""

    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    parts: list[Part | bytes | None] = field(default_factory=list)  # begin, some of its data, end


class Form:
    """A form that a client is sending. Read the file's chunks first: the fields may follow behind it."""

    def __init__(self, content_type: str, read: Read) -> None:
        """Raises BadRequest for a body that is no form."""
        kind, options = parse_options_header(content_type)
        if kind != FORM or b"boundary" not in options:
            raise BadRequest("Send the file as multipart/form-data with the fields `file` and `purpose`.")
        self._events = _Events()
        self._read = read
        try:
            self._parser = MultipartParser(options[b"boundary"], _callbacks(self._events))
        except FormParserError as error:
            raise BadRequest(str(error)) from None
        self._stream = self._list_events()
        self.fields: dict[str, str] = {}
        self.file: Part | None = None

    def read_to_file(self) -> Part:
        """Return the part with the file; fields before it are in `fields` then. Raises BadRequest."""
        for found in self._stream:
            if isinstance(found, Part) and found.file_name is not None and found.name == "file":
                self.file = found
                return found
            if isinstance(found, Part):
                self._read_field(found)
        raise BadRequest("The field `file` is missing.", param="file")

    def read_file(self) -> Iterator[bytes]:
        """Yield the file's content. Raises BadRequest for a form that breaks off."""
        for found in self._stream:
            if not isinstance(found, bytes):
                return
            yield found

    def read_rest(self) -> None:
        """Read the fields behind the file. Raises BadRequest."""
        for found in self._stream:
            if isinstance(found, Part):
                self._read_field(found)

    def _read_field(self, part: Part) -> None:
        if part.file_name is not None or len(self.fields) >= MAX_FIELDS:
            raise BadRequest("Send one file, in the field `file`.", param=part.name)
        for found in self._stream:
            if not isinstance(found, bytes):
                break
            part.value += found
            if len(part.value) > MAX_FIELD_BYTES:
                raise BadRequest("This field is too long.", param=part.name)
        self.fields[part.name] = part.value.decode(errors="replace")

    def _list_events(self) -> Iterator[Part | bytes | None]:
        """Yield each part's beginning, its data and its end."""
        try:
            while chunk := self._read(READ_BYTES):
                self._parser.write(chunk)
                yield from self._events.parts
                self._events.parts.clear()
            self._parser.finalize()
        except FormParserError as error:
            raise BadRequest(f"The form can't be read: {error}") from None


def _callbacks(events: _Events) -> "MultipartCallbacks":
    def add_name(data: bytes, start: int, end: int) -> None:
        events.header_name += data[start:end]

    def add_value(data: bytes, start: int, end: int) -> None:
        events.header_value += data[start:end]

    def end_header() -> None:
        events.headers[bytes(events.header_name).lower()] = bytes(events.header_value)
        events.header_name.clear()
        events.header_value.clear()

    def begin_part() -> None:
        events.parts.append(_describe_part(events.headers))
        events.headers.clear()

    return {
        "on_header_field": add_name,
        "on_header_value": add_value,
        "on_header_end": end_header,
        "on_headers_finished": begin_part,
        "on_part_data": lambda data, start, end: events.parts.append(bytes(data[start:end])),
        "on_part_end": lambda: events.parts.append(None),
    }


def _describe_part(headers: dict[bytes, bytes]) -> Part:
    _, options = parse_options_header(headers.get(b"content-disposition", b""))
    file_name = options.get(b"filename")
    return Part(
        name=options.get(b"name", b"").decode(errors="replace")[:200],
        # PostgreSQL stores no NUL.
        file_name=None if file_name is None else file_name.decode(errors="replace").replace("\0", "\ufffd"),
    )
