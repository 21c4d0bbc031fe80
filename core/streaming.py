"""An answer whose parts are made one after the other, by code that asks the database."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import FileResponse, StreamingHttpResponse

BYTES_AT_ONCE = 65_536  # a change of threads for each line would cost more than the line


class StreamedResponse(StreamingHttpResponse):
    """Sends what a plain iterator gives as it comes, behind an ASGI server, too.

    Django itself would first read such an iterator to its end, a file of any size into memory.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield some parts at once; they are made in the request's thread, which has its connection."""
        parts: Iterator[bytes] = iter(self.streaming_content)  # type: ignore[arg-type]  # ours are never async
        while chunk := await sync_to_async(_join_next)(parts):
            yield chunk


class StreamedFileResponse(StreamedResponse, FileResponse):
    """Sends a file block by block, behind an ASGI server, too."""


def _join_next(parts: Iterator[bytes]) -> bytes:
    """Return the next parts as one; b"" at the end. An empty part ends nothing."""
    joined = bytearray()
    for part in parts:
        joined += part
        if len(joined) >= BYTES_AT_ONCE:
            break
    return bytes(joined)
