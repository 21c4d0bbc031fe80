"""The code blocks of README and docs: where each stands and what it says.

`tests/website/test_code_blocks.py` lists which test runs which; a block without a language is a drawing.
Translated guides are left out: `tests/website/test_guide_translations.py` compares their blocks with these.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from stack.folders import ROOT
from website.catalogs import languages

FOR_CLIENTS = ("docs/getting-started.md", "docs/api.md")  # run by the journeys
FOR_THE_COMMAND_LINE = ("docs/cli.md", "cli/README.md")
ALL = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "cli/README.md",
    "dev/bench/README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*.md")
        if path.parent.name not in languages()
    ),
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block; `line` is that of its first fence."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    def commands(self) -> list[str]:
        """Return the lines of a shell block without their comments."""
        found = []
        for line in self.text.splitlines():
            command = re.sub(r"(^|\s+)#.*", "", line).strip()
            if command:
                found.append(command)
        return found

    def words(self) -> list[list[str]]:
        """Return the words of each command."""
        return [shlex.split(command) for command in self.commands()]


def blocks(*documents: str, language: str | None = None) -> list[Block]:
    """Return the blocks of some documents, of one language if given."""
    found = []
    for document in documents:
        found += [block for block in _read(document) if language in (None, block.language)]
    return found


def _read(document: str) -> Iterator[Block]:
    text = (ROOT / document).read_text()
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(document, line, match[1], match[2])
