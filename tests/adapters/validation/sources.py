"""Sources that behave: bytes in memory, and files that are never there as a whole."""

from dataclasses import dataclass


@dataclass
class Bytes:
    """A source in memory that counts what is read."""

    data: bytes
    bytes_read: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, length: int) -> bytes:
        self.bytes_read += length
        return self.data[start : start + length]


@dataclass(frozen=True)
class Endless:
    """A large file that is never there as a whole: a header, then one piece again and again."""

    header: bytes
    piece: bytes
    size: int

    def read(self, start: int, length: int) -> bytes:
        end = min(start + length, self.size)
        head = self.header[start:end]
        first = max(0, start - len(self.header))
        wanted = end - start - len(head)
        skip = first % len(self.piece)
        times = (skip + wanted) // len(self.piece) + 1
        return head + (self.piece * times)[skip : skip + wanted]
