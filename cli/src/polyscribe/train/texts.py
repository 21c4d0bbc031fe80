"""Texts on this machine: files of several kinds, and what was piped in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polyscribe.errors import NoTexts


@dataclass(frozen=True)
class Texts:
    """What a training is to learn: files by the names that they get there, and texts by theirs."""

    files: Mapping[str, Path] = field(default_factory=dict)
    pasted: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """The files' sizes in bytes."""
        return {name: path.stat().st_size for name, path in self.files.items()}


def gather_texts(paths: Sequence[Path], *, pasted: str = "") -> Texts:
    """Return the texts of files, and one that was piped in. Raises NoTexts for what can't be sent."""
    for path in paths:
        if not path.is_file():
            raise NoTexts(f"{path} is not a file. Name the files, such as chapters/*.docx.")
        if path.stat().st_size == 0:
            raise NoTexts(f"{path} is empty.")
    if not paths and not pasted.strip():
        raise NoTexts
    return Texts(_name_files(paths), {"text.txt": pasted} if pasted.strip() else {})


def _name_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Return each file by its name; those of one name are told apart by their folders."""
    unique = list(dict.fromkeys(paths))
    counts = Counter(path.name for path in unique)
    return {path.name if counts[path.name] == 1 else str(path): path for path in unique}
