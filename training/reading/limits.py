"""Limits on reading one file."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadingLimits:
    """The limits for one file. The child sets those of processes before it reads the first byte."""

    memory_bytes: int = 512 * MIB  # address space of each process, libraries included
    document_cpu_s: int = 4  # processor time of one document, and of opening an archive
    # A reader waits for nothing: it only takes longer than its processor time on a busy machine.
    document_wall_s: float = 12.0
    file_wall_s: float = 30.0  # an archive has many documents
    slow_members: int = 5  # that exceed a document's time, until the rest of an archive isn't read
    file_bytes: int = 64 * MIB  # of a file, and of each member of an archive
    plain_bytes: int = 24 * MIB  # of a plain text, which may be UTF-16
    text_bytes: int = 10 * MIB  # UTF-8, of all documents of a file together
    unpacked_bytes: int = 200 * MIB  # from one ZIP or tar: Word writes 10 bytes of XML for each letter
    members: int = 500  # documents in an archive
    package_parts: int = 20_000  # files in a .docx, .odt or .epub; an illustrated book has hundreds
    pages: int = 2_000  # of a PDF

    @property
    def answer_bytes(self) -> int:
        """The longest answer of a child: JSON escapes some characters, and every document has its facts."""
        return 2 * self.text_bytes + 2_000 * self.members


LIMITS = ReadingLimits()
