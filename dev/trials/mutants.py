"""`trials mutants`: break six cores on purpose, one place at a time, and count how often their tests notice.

The same few operators for Python and Lua, on tokens: mutmut and cosmic-ray know no Lua. Each mutant is tried
in a copy of the work tree. Some mutants change nothing that can be seen, so 100 % is out of reach: what
counts is that the share does not fall (bench/results/tests.json).
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from labs.report import read_results
from stack import services, template_database
from stack.folders import ROOT
from stack.run import folder
from stack.services import Stack
from stack.steps import Steps

QUOTA = "tests/inference/quota"
# A core: the files that are broken, and the tests that must notice.
CORES = {
    "admission": (
        ["inference/quota/lua/admission.lua", "inference/quota/lua/settlement.lua"],
        [f"{QUOTA}/test_admission.py", f"{QUOTA}/test_settlement.py", f"{QUOTA}/test_properties.py"],
    ),
    "drain": (
        ["inference/quota/ledger_drain.py"],
        [f"{QUOTA}/test_settlement.py", f"{QUOTA}/test_counters.py"],
    ),
    "invoices": (
        ["billing/invoices/invoices.py"],
        ["tests/billing/invoices", "tests/billing/test_credit_invoices.py"],
    ),
    "planner": (["adapters/placement/planner.py"], ["tests/adapters/placement/test_planner.py"]),
    "names": (
        ["adapters/routing/publisher.py", "adapters/routing/write_rows.lua"],
        ["tests/adapters/routing/test_row_writer.py", "tests/adapters/routing/test_style_table.py"],
    ),
    "sse": (["inference/proxy/sse.py"], ["tests/inference/proxy/test_sse.py"]),
}
# What a token becomes; the first pattern that matches a token decides. Strings and comments stay.
TOKENS = {
    ".py": re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*|\w+(?:\.\w+)*|[<>=!~+\-*/%]+|\S'),
    ".lua": re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|--[^\n]*|\w+(?:\.\w+)*|\.\.|[<>=~+\-*/%]+|\S'),
}
REPLACED = {
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    **{"+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "+=": "-=", "-=": "+="},
    **{"and": "or", "or": "and", "not": "", "if": "if not", "min": "max", "max": "min"},
    **{"True": "False", "False": "True", "true": "false", "false": "true"},
}
IN_LANGUAGE = {
    ".py": {
        "==": "!=",
        "!=": "==",
        "in": "not in",
        "is": "is not",
        "return": "return None and",
        "continue": "break",
    },
    ".lua": {"==": "~=", "~=": "==", "return": "return nil and"},
}
# A mutant may run for ever. Processor time says so on a busy machine, too; MOST_S is for one that only waits.
MOST_CPU_S = 120
MOST_S = 900.0
PYTEST = ["-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--timeout=300"]


@dataclass(frozen=True)
class Mutant:
    """One file with one token replaced."""

    core: str
    path: str
    line: int
    change: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"


def mutants(*, count: int, seed: int, core: Sequence[str], options: str) -> int:
    """Try `count` mutants of each core; return 0 if no core's tests notice fewer than was recorded."""
    chosen = list[Mutant]()
    for name in core or CORES:
        every = list(_mutants_of(name))
        chosen += random.Random(seed).sample(every, min(count, len(every)))
    steps = Steps(sys.stderr)
    with folder(None) as folders, services.opened(folders, steps) as stack:
        stack.waiting.all(services.start(stack))
        template_database.provide(stack.variables)
        survived = _survivors(stack, chosen, options.split(), steps)
    tried = Counter(mutant.core for mutant in chosen)
    lost = Counter(mutant.core for mutant in survived)
    percent = {name: round(100 * (1 - lost[name] / tried[name]), 1) for name in tried}
    for mutant in survived:
        steps.say(f"  survived: {mutant}")
    found = {"count": count, "seed": seed, "noticed_percent": percent}
    (ROOT / "var" / "mutants.json").write_text(json.dumps(found, indent=1) + "\n")
    fallen = _fallen(found)
    steps.say(f"MUTANTS {'FAILED' if fallen else 'OK'} {json.dumps(found)}")
    return 1 if fallen else 0


def _fallen(found: dict[str, Any]) -> list[str]:
    """Return the cores whose tests notice fewer of the same mutants than was recorded."""
    recorded = read_results("tests")["mutants"]
    if (recorded["count"], recorded["seed"]) != (found["count"], found["seed"]):
        return []
    before = recorded["noticed_percent"]
    return [name for name, percent in found["noticed_percent"].items() if percent < before[name]]


def _mutants_of(core: str) -> Iterator[Mutant]:
    for path in CORES[core][0]:
        text = (ROOT / path).read_text()
        suffix = Path(path).suffix
        for token in TOKENS[suffix].finditer(text):
            line = text.count("\n", 0, token.start()) + 1
            before = text[text.rfind("\n", 0, token.start()) + 1 : token.start()]
            new = _replaced(token.group(), suffix)
            if new is None or before.startswith(("from ", "import ")):
                continue
            mutated = text[: token.start()] + new + text[token.end() :]
            if suffix == ".py" and not _compiles(mutated):
                continue
            yield Mutant(core, path, line, f"{token.group()} → {new or 'nothing'}", mutated)


def _replaced(token: str, suffix: str) -> str | None:
    """Return what a token becomes, or None if it stays."""
    if token.isdigit():
        return str(int(token) + 1)
    return (REPLACED | IN_LANGUAGE[suffix]).get(token)


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _survivors(stack: Stack, chosen: Sequence[Mutant], options: Sequence[str], steps: Steps) -> list[Mutant]:
    """Return the mutants whose tests pass; a worker for each processor tries them, in a copy of its own."""
    trees: SimpleQueue[Path] = SimpleQueue()
    workers = os.cpu_count() or 1
    for number in range(workers):
        trees.put(_copied(stack.folders.var / f"tree-{number}"))

    def survives(mutant: Mutant) -> bool:
        tree = trees.get()
        began = time.monotonic()
        try:
            passed = _passes(stack, tree, mutant, options)
        finally:
            (tree / mutant.path).write_text((ROOT / mutant.path).read_text())
            trees.put(tree)
        verdict = "survived" if passed else "noticed"
        steps.say(f"  {time.monotonic() - began:5.1f} s  {verdict}  {mutant}")
        return passed

    with ThreadPoolExecutor(workers) as pool:
        return [mutant for mutant, left in zip(chosen, pool.map(survives, chosen), strict=True) if left]


def _passes(stack: Stack, tree: Path, mutant: Mutant, options: Sequence[str]) -> bool:
    """Return whether the core's tests pass with the mutant in place; endless ones don't."""
    (tree / mutant.path).write_text(mutant.text)
    url = f"{stack.variables['DATABASE_URL']}_{tree.name.replace('-', '_')}"
    variables = {
        **stack.variables,
        template_database.VARIABLE: template_database.NAME,
        "DATABASE_URL": url,  # a test database of its own
        "PYTEST_PLUGINS": "tests.worker_services",  # a Valkey and a bucket of its own
        "PYTEST_XDIST_WORKER": tree.name,
    }
    command = ["prlimit", f"--cpu={MOST_CPU_S}", sys.executable, *PYTEST, *options, *CORES[mutant.core][1]]
    try:
        done = subprocess.run(command, cwd=tree, env=variables, capture_output=True, timeout=MOST_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _copied(tree: Path) -> Path:
    """Copy what Git knows of the work tree, and new files."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree
