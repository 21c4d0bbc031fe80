"""`make test`: the rooms' tests beside the services, then the journeys beside the whole stack."""

import os
import shlex
import sys
import time
from collections.abc import Sequence

from stack.errors import Interrupted, StackError
from stack.folders import ROOT
from stack.run import after_dashes, run
from stack.steps import Steps

JOURNEYS = "tests/journeys"
# The journeys' engine is started as vLLM's documents show it; the platform must recognise what it finds.
STATIC_MODULES = "--lora-modules " + " ".join(
    f"{style}-bot={shlex.quote(str(ROOT / 'engine' / 'styles' / style))}" for style in ("poetry", "legal")
)
PYTEST = [sys.executable, "-m", "pytest"]
FLOORS = ("tenants", "adapters", "inference", "billing", "platform")
# Branches, too; files that are covered whole are not listed. The journeys' processes are not measured.
COVERAGE = [*(f"--cov={floor}" for floor in FLOORS), "--cov-branch", "--cov-report=term:skip-covered"]


def test(options: Sequence[str]) -> int:
    """Run both halves, the second also when the first failed; return 0 only if both passed."""
    options = after_dashes(options)
    steps = Steps(sys.stderr)
    command = [*PYTEST, "tests", f"--ignore={JOURNEYS}", *COVERAGE, *options]
    rooms = _half(steps, "rooms", command, whole=False)
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: an answer must equal PEFT's text
    os.environ.setdefault("ENGINE_OPTIONS", STATIC_MODULES)
    journeys = _half(steps, "journeys", [*PYTEST, JOURNEYS, *options], whole=True)
    for line in (rooms, journeys):
        steps.say(line[1])
    return rooms[0] or journeys[0]


def _half(steps: Steps, title: str, command: list[str], *, whole: bool) -> tuple[int, str]:
    began = time.monotonic()
    steps.say(f"\n{title}: {' '.join(command[2:])}")
    try:
        # The rooms read the model's files, too: without them, some tests would be skipped on a fresh machine.
        code = run(command, whole=whole, var=None, needs_base_model=True)
        reason = "" if code == 0 else f" (exit {code})"
    except Interrupted:
        raise
    except StackError as error:
        code = 1
        reason = f" ({error})"
    mark = "✗" if code else "✓"
    return code, f"  {mark} {title:<30}{time.monotonic() - began:6.1f} s{reason}"
