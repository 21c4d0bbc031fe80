"""What trials and benches found: files in bench/results/, and tables between marks in the documents."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.folders import ROOT

RESULTS = ROOT / "dev" / "bench" / "results"
DOC = ROOT / "docs" / "performance.md"
NOTHING = "-"


def require_variables(target: str, *names: str) -> None:
    """Raise SystemExit unless the stack's variables are set."""
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise SystemExit(f"✗ {', '.join(missing)} not set: run this through `make {target}`.")


def read_results(name: str) -> dict[str, Any]:
    """Return what an earlier run found; nothing where there was none."""
    file = RESULTS / f"{name}.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def write_results(name: str, found: Mapping[str, object]) -> None:
    """Write what a run found."""
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def verdict(is_reached: bool) -> str:
    """Return how a goal was met."""
    return "reached" if is_reached else "**missed**"


def between_marks(name: str, new: str, document: Path = DOC) -> None:
    """Put a text between its marks in a document."""
    begin = f"<!-- {name} -->"
    end = f"<!-- /{name} -->"
    before, _, rest = document.read_text().partition(begin)
    document.write_text(f"{before}{begin}\n{new}\n{end}{rest.partition(end)[2]}")


def aligned(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table that also reads well in a terminal; the first row is its head."""
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(first)]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], others, strict=True)]
        lines.append(" | ".join(cells))
    rule = " | ".join(["-" * first, *("-" * (width - 1) + ":" for width in others)])
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def shown(value: float | None) -> str:
    """Return a number with as many digits as mean something."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
