"""How dense the product's code is, beside projects that read well. Printed by `make check`; not enforced.

`python -m stack.density [FOLDER …]`. A branch point is an if, a loop, an except, a conditional expression,
the for or if of a comprehension, a case, or one more operand of and/or. Blank lines count as lines.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from statistics import median

from stack.folders import ROOT

FLOORS = (
    "core",
    "tenants",
    "events",
    "metering",
    "accounts",
    "adapters",
    "inference",
    "keys",
    "provenance",
    "training",
    "drafts",
    "billing",
    "platform",
)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
HEAD = (
    "",
    "lines",
    "median function",
    "<= 20 lines",
    "branches / 10 lines",
    "comprehensions / kLOC",
    "tuple assignments / kLOC",
    "one-word names",
    "comment lines",
)
# The same counts in projects whose manner is a model, November 2026.
MODELS = (
    ("healthchecks", "", "8", "77 %", "1.4", "2.5", "1.6", "44 %", "5.6 %"),
    ("httpx", "", "9", "77 %", "1.2", "7.5", "0.5", "63 %", "6.0 %"),
    ("procrastinate", "", "8", "80 %", "0.8", "11.0", "0.7", "28 %", "4.7 %"),
    ("aim", "", "", "", "<= 1.6", "<= 12", "<= 2", "<= 45 %", ">= 5 %"),
)


@dataclass
class Counts:
    """What was counted in some files."""

    lines: int = 0
    comment_lines: int = 0
    comprehensions: int = 0
    tuple_assignments: int = 0
    branches: int = 0
    one_word_names: int = 0
    function_lines: list[int] = field(default_factory=list)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def add_source(self, source: str) -> None:
        """Count one file."""
        self.lines += source.count("\n")
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        self.comment_lines += len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, COMPREHENSIONS):
                self.comprehensions += 1
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                self.tuple_assignments += isinstance(node.value, ast.Tuple)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._add_function(node)

    def _add_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        assert function.end_lineno
        self.function_lines.append(function.end_lineno - function.lineno + 1)
        self.one_word_names += "_" not in function.name.strip("_")
        for node in ast.walk(function):
            if isinstance(node, BRANCHES):
                self.branches += 1
            elif isinstance(node, ast.BoolOp):
                self.branches += len(node.values) - 1
            elif isinstance(node, ast.comprehension):
                self.branches += 1 + len(node.ifs)

    def row(self, title: str) -> tuple[str, ...]:
        """Return the figures as a table has them."""
        functions = len(self.function_lines) or 1
        short = sum(lines <= 20 for lines in self.function_lines)
        kilolines = self.lines / 1000 or 1
        return (
            title,
            str(self.lines),
            f"{median(self.function_lines or [0]):.0f}",
            f"{short / functions:.0%}",
            f"{10 * self.branches / (sum(self.function_lines) or 1):.1f}",
            f"{self.comprehensions / kilolines:.1f}",
            f"{self.tuple_assignments / kilolines:.1f}",
            f"{self.one_word_names / functions:.0%}",
            f"{self.comment_lines / (self.lines or 1):.1%}",
        )


def count(folder: Path) -> Counts:
    """Return the counts of all Python files in a folder, without tests and migrations."""
    counts = Counts()
    for file in sorted(folder.rglob("*.py")):
        if "migrations" not in file.parts:
            counts.add_source(file.read_text())
    return counts


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as aligned text."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def report(names: Iterable[str] = FLOORS) -> str:
    """Return the table of some folders, of all of them together, and of the models."""
    counts = {name: count(ROOT / name) for name in names}
    rows = [each.row(name) for name, each in counts.items()]
    together = sum(counts.values(), start=Counts())
    return table([HEAD, *rows, together.row("together"), *MODELS])


if __name__ == "__main__":
    print(report(sys.argv[1:] or FLOORS))
