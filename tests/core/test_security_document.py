"""docs/security.md names a test of each promise; a promise without one is none."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(\w[\w/]*/test_\w+\.py)::(test_\w+)`")
HEADER = "| threat | protection | test |"


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_test_that_the_threat_model_names_is_there():
    named = NAMED.findall(DOCUMENT.read_text())
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(file)]

    assert len(named) > 30
    assert missing == []


def test_every_promise_names_its_test():
    tables = DOCUMENT.read_text().split(HEADER)[1:]
    promises = [row for table in tables for row in table.split("\n\n")[0].splitlines()[2:]]

    assert len(promises) > 20
    assert [row for row in promises if not NAMED.search(row)] == []
