"""ZIP files with a document inside: .docx, .odt, .epub."""

from collections.abc import Iterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from training.reading.documents import Refused
from training.reading.limits import MIB, ReadingLimits

CHUNK_BYTES = 256 * 1024
ENCRYPTED_FLAG = 0x1
METHODS = (ZIP_STORED, ZIP_DEFLATED)  # others may claim gigabytes of memory


class Package:
    """Reads parts of a ZIP up to a total size, whatever the ZIP itself says about sizes."""

    def __init__(self, content: bytes, limits: ReadingLimits) -> None:
        self._zip = ZipFile(BytesIO(content))
        self._limit_bytes = limits.unpacked_bytes
        self._left_bytes = limits.unpacked_bytes
        if len(self._zip.infolist()) > limits.package_parts:
            raise Refused("damaged")

    def __contains__(self, part: str) -> bool:
        return part in self._zip.NameToInfo

    def read_chunks(self, part: str) -> Iterator[bytes]:
        """Yield the bytes of a part. Raises Refused, and KeyError if there is none."""
        info = self._zip.getinfo(part)
        check_member(info)
        with self._zip.open(info) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                self._left_bytes -= len(chunk)
                if self._left_bytes < 0:
                    raise Refused("unpacks_too_large", limit_mb=self._limit_bytes // MIB)
                yield chunk

    def read(self, part: str) -> bytes:
        """Return the bytes of a part. Raises as `read_chunks`."""
        return b"".join(self.read_chunks(part))


def check_member(info: ZipInfo) -> None:
    """Raise Refused for a member of a ZIP that can't be read without a password, or safely."""
    if info.flag_bits & ENCRYPTED_FLAG:
        raise Refused("encrypted")
    if info.compress_type not in METHODS:
        raise Refused("archive_method")
