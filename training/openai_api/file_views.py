"""`/v1/files`: uploaded, listed, read, deleted.

https://developers.openai.com/api/reference/resources/files
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from rest_framework.request import Request
from rest_framework.response import Response

from core.names import read_id
from core.sizes import MIB
from core.streaming import StreamedResponse
from inference.openai_views.base import unix_time
from inference.openai_views.schema import AFTER, limit_of, operation
from inference.public import BadRequest
from tenants.access import Access
from tenants.models import Scope
from training import files
from training.errors import FileTooLarge
from training.models import File
from training.openai_api.shapes import (
    ANCHOR,
    LONGEST_EXPIRY_S,
    NEW_FILE,
    SECONDS,
    SHORTEST_EXPIRY_S,
    DeletedFile,
    NoSuchFile,
    StoredFile,
    TooManyUploads,
    TrainingView,
)
from training.reading.readers import ENDINGS

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PREFIX = "file-"
MAX_FILES = 10_000
FORM_BYTES = 64 * 1024  # what a form has beside its file
UPLOADS_OF_PERSON = 2  # at once, in one process, in whichever workspaces
EXPIRY = re.compile(r"[0-9]{1,9}")
FIELDS = {"purpose", ANCHOR, SECONDS}
ORDER = OpenApiParameter(
    "order",
    {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    description="`desc`: newest first; `asc`: oldest first.",
)
PURPOSE = OpenApiParameter("purpose", OpenApiTypes.STR, description="Only files with this purpose.")

_uploads: Counter[int | UUID] = Counter()
_lock = Lock()


class FilesView(TrainingView):
    """All files, and new ones."""

    @operation(
        "files.list",
        "List files",
        scope=Scope.STYLES_READ,
        answer=StoredFile,
        is_list=True,
        parameters=[AFTER, limit_of(MAX_FILES, MAX_FILES), ORDER, PURPOSE],
    )
    def get(self, request: Request) -> Response:
        """Return files, newest first, or oldest first with `order=asc`."""
        order = request.query_params.get("order", "desc")
        if order not in ("asc", "desc"):
            raise BadRequest("`order` must be asc or desc.", param="order")
        rows = File.objects.kept(timezone.now()).filter(tenant=self.access.tenant)
        purpose = request.query_params.get("purpose")
        if purpose:
            rows = rows.filter(purpose=purpose) if purpose in File.Purpose else rows.none()
        return self.answer_list(
            rows,
            present_file,
            find=lambda written: find_file(self.access, written, param="after"),
            default_limit=MAX_FILES,
            most=MAX_FILES,
            is_ascending=order == "asc",
        )

    @operation(
        "files.create",
        "Upload a file",
        scope=Scope.STYLES_WRITE,
        answer=StoredFile,
        body={"multipart/form-data": NEW_FILE},
    )
    def post(self, request: Request) -> Response:
        """Store a file of conversations, in JSON Lines of at most 200 MB. It counts towards your plan's
        storage."""
        with _upload_of(self.access):
            return Response(present_file(self._store(request)))

    def _store(self, request: Request) -> File:
        size_bytes = announced_bytes(request)
        form = Form(request.content_type or "", request._request.read)
        part = form.read_to_file()
        if "purpose" in form.fields:  # then a wrong one is refused before the file is sent
            check_fields(form.fields)
        require_lines(part.file_name or "")
        file = files.begin_file(self.access.tenant, name=part.file_name or "file", size_bytes=size_bytes)
        connection.close()  # else it is held while the client sends, which may take minutes
        expires_after_s: int | None = None

        def read_chunks() -> Iterator[bytes]:
            nonlocal expires_after_s
            yield from form.read_file()
            form.read_rest()
            expires_after_s = check_fields(form.fields)

        size_bytes = files.write_new_file(file, read_chunks())
        files.finish_upload(self.access, file, size_bytes=size_bytes, expires_after_s=expires_after_s)
        return file


class FileView(TrainingView):
    """One file."""

    @operation("files.get", "Get a file", scope=Scope.STYLES_READ, answer=StoredFile)
    def get(self, request: Request, file_id: str) -> Response:
        """Return a file's name, size and purpose."""
        return Response(present_file(find_file(self.access, file_id)))

    @operation("files.delete", "Delete a file", scope=Scope.STYLES_WRITE, answer=DeletedFile)
    def delete(self, request: Request, file_id: str) -> Response:
        """Delete a file permanently. Refused while a job still has to read it."""
        file = find_file(self.access, file_id)
        answer = {"id": file.public_id, "object": "file", "deleted": True}
        files.delete_file(self.access, file)
        return Response(answer)


class ContentView(TrainingView):
    """A file's content."""

    @operation("files.content", "Download a file", scope=Scope.STYLES_READ)
    def get(self, request: Request, file_id: str) -> HttpResponseBase:
        """Return the content as it was uploaded."""
        file = find_file(self.access, file_id)
        headers = {"Content-Length": str(file.size_bytes), "Content-Disposition": "attachment"}
        content = files.read_content(file)
        return StreamedResponse(content, content_type="application/octet-stream", headers=headers)


def find_file(access: Access, written: str, *, param: str = "id") -> File:
    """Return one of the workspace's files by its id. Raises NoSuchFile."""
    file_id = read_id(written, PREFIX)
    kept = File.objects.kept(timezone.now())
    file = kept.filter(tenant=access.tenant, pk=file_id).first() if file_id else None
    if file is None:
        raise NoSuchFile(id=written[:100], param=param)
    return file


def present_file(file: File) -> dict[str, object]:
    """Return a file as OpenAI's FileObject."""
    return {
        "id": file.public_id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": unix_time(file.created_at),
        "expires_at": unix_time(file.expires_at),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def announced_bytes(request: Request) -> int:
    """Return how many bytes a file has at most, by what its form's headers say. Raises FileTooLarge."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced.isdigit():
        return files.MAX_FILE_BYTES
    if int(announced) > files.MAX_FILE_BYTES + FORM_BYTES:
        raise FileTooLarge(limit=files.MAX_FILE_BYTES // MIB)
    return min(int(announced), files.MAX_FILE_BYTES)


def check_fields(fields: dict[str, str]) -> int | None:
    """Return after how many seconds a new file expires, or None. Raises BadRequest."""
    for name in fields:
        if name not in FIELDS:
            raise BadRequest(f"Unknown field: `{name}`.", param=name)
    purpose = fields.get("purpose")
    if purpose != File.Purpose.FINE_TUNE:
        raise BadRequest("`purpose` must be `fine-tune`.", param="purpose")
    if ANCHOR not in fields and SECONDS not in fields:
        return None
    if fields.get(ANCHOR) != "created_at":
        raise BadRequest("`expires_after.anchor` must be `created_at`.", param="expires_after")
    seconds = fields.get(SECONDS, "")
    if not EXPIRY.fullmatch(seconds) or not SHORTEST_EXPIRY_S <= int(seconds) <= LONGEST_EXPIRY_S:
        sentence = f"`expires_after.seconds` must be between {SHORTEST_EXPIRY_S} and {LONGEST_EXPIRY_S}."
        raise BadRequest(sentence, param="expires_after")
    return int(seconds)


def require_lines(name: str) -> None:
    """Raise BadRequest for a file that is a document by its name: another API takes it."""
    if name.lower().endswith(ENDINGS):
        raise BadRequest(
            f"`file`: {name[:100]} is a document. Send JSON Lines here, with one conversation per "
            f"line. To train on documents, use {settings.SITE_URL}/api/v1/trainings.",
            param="file",
        )


@contextmanager
def _upload_of(access: Access) -> Iterator[None]:
    """Count a person's upload while it runs. Raises TooManyUploads.

    That is whoever made the key; the workspace's owners in common where that person has left.
    """
    person = access.maker.pk if access.maker else access.tenant.pk
    with _lock:
        if _uploads[person] >= UPLOADS_OF_PERSON:
            raise TooManyUploads(retry_s=2)
        _uploads[person] += 1
    try:
        yield
    finally:
        with _lock:
            _uploads[person] -= 1
            if not _uploads[person]:
                del _uploads[person]


# A form with a file in it (multipart/form-data), read as it comes: its file is never whole in memory.

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
