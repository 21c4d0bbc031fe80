"""How every trial ends: one line with its verdict, and a file with all details."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

type Say = Callable[[str], None]


class Verdict(ABC):
    """What a trial found; each trial's own verdict is a dataclass of this kind."""

    title: ClassVar[str]

    @property
    @abstractmethod
    def is_good(self) -> bool:
        """True if nothing was found, and enough was tried to find something."""

    @abstractmethod
    def figures(self) -> Mapping[str, object]:
        """Return what the last line names."""

    def line(self) -> str:
        """Return the last line that the trial prints."""
        figures = [f"{name}={value}" for name, value in self.figures().items()]
        return " ".join([self.title, "OK" if self.is_good else "FAILED", *figures])

    def details(self) -> dict[str, object]:
        """Return everything that was found, for a file."""
        return {"verdict": self.line(), **vars(self)}

    def write(self, notes: Path, **more: object) -> Path:
        """Write all details, and more, beside the trial's notes; return the file."""
        file = notes / "verdict.json"
        file.write_text(json.dumps(self.details() | more, indent=2))
        return file
