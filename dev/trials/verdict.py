"""How every trial ends: one line with its verdict, and a file with all details."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from labs import machine
from stack.folders import ROOT

RESULTS = ROOT / "dev" / "bench" / "results"

type Say = Callable[[str], None]


class Verdict(ABC):
    """What a trial found; each trial's own verdict is a dataclass of this kind."""

    title: ClassVar[str]

    @property
    @abstractmethod
    def is_good(self) -> bool:
        """True if nothing was found, and enough was tried to find something."""

    def figures(self) -> Mapping[str, object]:
        """Return what the last line names: every number that was found."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}

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

    def published(self) -> dict[str, object]:
        """Return what is found in `bench/results` of it."""
        return self.details()

    def publish(self, name: str, **more: object) -> None:
        """Write what is published, and more, into a file that the documents may name."""
        write_result(name, {**more, **self.published()})


def write_result(name: str, facts: Mapping[str, object]) -> None:
    """Write a file into bench/results, with the machine that it is of."""
    about = {"cores": os.cpu_count(), "machine": machine.model()}
    (RESULTS / name).write_text(json.dumps(about | dict(facts), indent=1) + "\n")
