"""`make test` and `make test-long`: the rooms beside the services, then the journeys beside the whole stack.

What is marked `long` belongs to `make test-long`, everything else to `make test`.
"""

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from stack import services, template_database
from stack.errors import Interrupted, StackError
from stack.folders import ROOT
from stack.run import after_dashes, folder, foreground, run
from stack.steps import Steps
from stack.whole import prepare_base_model

JOURNEYS = "tests/journeys"
# The journeys' engine is started as vLLM's documents show it; the platform must recognise what it finds.
STATIC_MODULES = "--lora-modules " + " ".join(
    f"{style}-bot={shlex.quote(str(ROOT / 'engine' / 'styles' / style))}" for style in ("poetry", "legal")
)
PYTEST = [sys.executable, "-m", "pytest", "--durations=30", "--durations-min=1"]
# A worker for each processor, with services of its own (tests/worker_services.py). The one that is done first
# takes tests over from the others.
SIDE_BY_SIDE = ["-n", "logical", "--maxprocesses=8", "--dist=worksteal"]
FLOORS = ("tenants", "adapters", "inference", "provenance", "training", "billing", "platform")
# Where $COVERAGE is set. Files that are covered whole are not listed. The long tests' run adds to that of the
# others. The journeys' processes are not measured.
COVERAGE = [*(f"--cov={floor}" for floor in FLOORS), "--cov-report=term:skip-covered"]


def test(options: Sequence[str]) -> int:
    """Run every test that is not marked `long`; return 0 if all passed."""
    return _run_both(select("not long", options), measured=_coverage())


def test_long(options: Sequence[str]) -> int:
    """Run every test that is marked `long`; return 0 if all passed."""
    return _run_both(select("long", options), measured=_coverage("--cov-append"))


def _coverage(*options: str) -> Sequence[str]:
    return [*COVERAGE, *options] if os.environ.get("COVERAGE") else ()


def select(marked: str, options: Sequence[str]) -> list[str]:
    """Return pytest's options for one of the two parts that all tests are split into."""
    return ["-m", marked, *after_dashes(options)]


def _run_both(options: Sequence[str], *, measured: Sequence[str]) -> int:
    """Run both halves, the second also when the first failed; return 0 only if both passed."""
    steps = Steps(sys.stderr)
    rooms = [*PYTEST, "tests", f"--ignore={JOURNEYS}", *SIDE_BY_SIDE, *measured, *options]
    ran_rooms = _half(steps, "rooms", rooms, run=_run_rooms)
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: an answer must equal PEFT's text
    os.environ.setdefault("ENGINE_OPTIONS", STATIC_MODULES)
    journeys = [*PYTEST, JOURNEYS, *options]
    ran_journeys = _half(steps, "journeys", journeys, run=partial(run, whole=True, var=None))
    for line in (ran_rooms, ran_journeys):
        steps.say(line[1])
    return ran_rooms[0] or ran_journeys[0]


def _run_rooms(command: Sequence[str]) -> int:
    steps = Steps(sys.stderr)
    with folder(None) as folders, services.opened(folders, steps) as stack:
        # The rooms read the model's files, too: without them, some tests would be skipped on a fresh machine.
        prepare_base_model(stack)
        stack.waiting.all(services.start(stack))
        with steps.step("database schema"):
            template_database.migrate_template(stack.variables)
        stack.variables[template_database.VARIABLE] = template_database.NAME
        return foreground(stack, command)


def _half(
    steps: Steps, title: str, command: list[str], *, run: Callable[[Sequence[str]], int]
) -> tuple[int, str]:
    began = time.monotonic()
    steps.say(f"\n{title}: {shlex.join(command[2:])}")
    try:
        code = run(command)
        reason = "" if code == 0 else f" (exit {code})"
    except Interrupted:
        raise
    except StackError as error:
        code = 1
        reason = f" ({error})"
    mark = "✗" if code else "✓"
    return code, f"  {mark} {title:<30}{time.monotonic() - began:6.1f} s{reason}"
