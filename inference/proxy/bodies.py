"""Request bodies: the memory that a workspace may take for them, and decompression within that bound."""

import zlib
from collections import Counter

from inference.errors import BadRequest, TooLarge, TooMuchAtOnce, UnknownEncoding, UnknownMediaType

BODY_MAX_BYTES = 4 * 1024 * 1024
TENANT_SHARE = 8  # a tenant may take one part in so many of the free memory


class BodyMemory:
    """The memory for bodies in one process. A request keeps its part until its answer is done.

    A workspace may take an eighth of what is free: alone 28 MiB of 256. When twenty of them have taken all
    that they may, there are still 2 MiB for the next one.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._taken: Counter[str] = Counter()
        self._taken_bytes = 0  # by all

    def take(self, tenant: str, size: int) -> None:
        """Take memory, until `give_back`. Raises TooMuchAtOnce."""
        taken = self._taken.get(tenant, 0) + size
        taken_bytes = self._taken_bytes + size
        if taken * TENANT_SHARE > self._max_bytes - taken_bytes:
            raise TooMuchAtOnce(retry_s=2)
        self._taken[tenant] = taken
        self._taken_bytes = taken_bytes

    def give_back(self, tenant: str, size: int) -> None:
        """Give memory back."""
        left = self._taken.pop(tenant, 0) - size
        if left:
            self._taken[tenant] = left
        self._taken_bytes -= size


def require_json(content_type: str) -> None:
    """Check what a request says of its body; nothing is taken for JSON. Raises
    UnknownMediaType."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ("", "application/json") and not media_type.endswith("+json"):
        raise UnknownMediaType(media_type=media_type[:80])


def decompress(body: bytes, encoding: str) -> bytes:
    """Return a body without its `Content-Encoding`. Raises UnknownEncoding, BadRequest or TooLarge."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnknownEncoding(encoding=encoding[:40])
    # 16 stands for the gzip format alone, see https://docs.python.org/3/library/zlib.html#zlib.decompress
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # One byte more tells a body that is too large from one that just fits. A bomb is never inflated
        # further.
        decompressed = reader.decompress(body, BODY_MAX_BYTES + 1)
    except zlib.error:
        raise BadRequest(
            "The request body is not valid gzip, although `Content-Encoding` says it is."
        ) from None
    if len(decompressed) > BODY_MAX_BYTES:
        raise TooLarge(limit_bytes=BODY_MAX_BYTES)
    if not reader.eof:
        raise BadRequest("The gzip body is truncated.")
    return decompressed
