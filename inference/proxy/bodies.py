"""Request bodies: read within the memory that a workspace may take, and unpacked within the same bound."""

import zlib
from collections import Counter
from uuid import UUID

from inference.errors import BadRequest, TooLarge, TooMuchAtOnce, UnknownEncoding

BODY_MAX_BYTES = 4 * 1024 * 1024
ALL_BODIES_MAX_BYTES = 256 * 1024 * 1024  # in one process
SHARE = 8


class BodyMemory:
    """The bytes of all bodies that one process keeps, until their answers are done.

    A workspace may take an eighth of what nobody uses: alone 28 MiB of 256, and when twenty have taken all
    that they may, there are still 2 MiB for the next one.
    """

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()

    def take(self, tenant_id: UUID, size: int) -> None:
        """Take memory, until `give_back`. Raises TooMuchAtOnce."""
        taken = self._taken[tenant_id] + size
        if taken * SHARE > ALL_BODIES_MAX_BYTES - self._taken.total() - size:
            raise TooMuchAtOnce(retry_s=2)
        self._taken[tenant_id] = taken

    def give_back(self, tenant_id: UUID, size: int) -> None:
        """Give memory back."""
        self._taken[tenant_id] -= size
        if not self._taken[tenant_id]:
            del self._taken[tenant_id]


def decompress(body: bytes, encoding: str) -> bytes:
    """Return a body as its `Content-Encoding` says. Raises UnknownEncoding, BadRequest or TooLarge."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnknownEncoding(encoding=encoding[:40])
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        whole = reader.decompress(body, BODY_MAX_BYTES + 1)
    except zlib.error:
        raise BadRequest("The body is not valid gzip, though `Content-Encoding` says so.") from None
    if len(whole) > BODY_MAX_BYTES:
        raise TooLarge(limit_bytes=BODY_MAX_BYTES)
    if not reader.eof:
        raise BadRequest("The gzip body breaks off.")
    return whole
