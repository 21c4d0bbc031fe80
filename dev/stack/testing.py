"""`make test`: the tests of the apps and pages beside the services, then the journeys beside the whole stack.

All parts share one stack. A tier says what is left out (tests/tiers.py): `make test` runs the quick one, CI
`make test TIER=ci`, the nightly workflow `make test TIER=all`.
"""

import os
import shlex
import sys
import time
from collections.abc import Sequence

from stack import coverage, services, template_database
from stack.errors import Interrupted, StackError
from stack.folders import ROOT
from stack.run import after_dashes, folder, foreground
from stack.services import Stack
from stack.steps import Steps
from stack.whole import bring_up_beside_services, prepare_base_model

PARTS = ("rooms", "pages", "journeys")
# The journeys' engine is started as vLLM's documents show it; the platform leaves alone what it finds.
STATIC_MODULES = "--lora-modules " + " ".join(
    f"{style}-bot={shlex.quote(str(ROOT / 'engine' / 'styles' / style))}" for style in ("poetry", "legal")
)
PYTEST = [sys.executable, "-m", "pytest", "--durations=15", "--durations-min=5"]
# A worker for each processor, with services of its own (tests/worker_services.py). The one that is done first
# takes tests over from the others.
SIDE_BY_SIDE = ["-n", "logical", "--maxprocesses=8", "--dist=worksteal"]
# The engine answers several requests at once in little more than the time of one.
JOURNEYS_SIDE_BY_SIDE = ["-n", "3", "--dist=worksteal"]
HYPOTHESIS_PROFILES = {"quick": "quick", "ci": "ci", "all": "nightly"}  # tests/profiles.py
RECORDED = ROOT / "var" / "durations.json"
NOTHING_SELECTED = 5  # pytest's exit code


def test(options: Sequence[str], *, tier: str, part: Sequence[str]) -> int:
    """Run the tests of a tier, or only some parts of it; return 0 if all passed. Raises StackError."""
    if unknown := set(part) - set(PARTS):
        raise StackError(f"There is no part {', '.join(unknown)} of the tests. Use {', '.join(PARTS)}.")
    steps = Steps(sys.stderr)
    common = [f"--tier={tier}", f"--hypothesis-profile={HYPOTHESIS_PROFILES[tier]}", *after_dashes(options)]
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: a journey's answer must equal PEFT's text
    os.environ.setdefault("ENGINE_OPTIONS", STATIC_MODULES)
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.unlink(missing_ok=True)
    parts = part or PARTS
    codes: dict[str, int] = {}
    with folder(None) as folders, services.opened(folders, steps) as stack:
        prepare_base_model(stack)  # rooms read its files, too
        stack.waiting.all(services.start(stack))
        if folders_of_tests := _folders_without_journeys(parts):
            codes["rooms and pages"] = _run_rooms(stack, [*folders_of_tests, *common])
        if os.environ.get("COVERAGE") and tier != "quick" and "rooms" in parts:
            fallen = coverage.fallen()
            for sentence in fallen:
                steps.say(f"  ✗ {sentence}")
            codes["coverage"] = 1 if fallen else 0
        if "journeys" in parts:
            codes |= _run_journeys(stack, common)
    ran = [code for code in codes.values() if code != NOTHING_SELECTED]
    return max(ran, default=NOTHING_SELECTED)


def _folders_without_journeys(parts: Sequence[str]) -> list[str]:
    """Return pytest's arguments for rooms, pages or both; none if neither is to run."""
    if "rooms" not in parts:
        return ["tests/pages"] if "pages" in parts else []
    without = {"journeys"} if "pages" in parts else {"journeys", "pages"}
    return ["tests", *sorted(f"--ignore=tests/{name}" for name in without)]


def _run_rooms(stack: Stack, options: Sequence[str]) -> int:
    with stack.steps.step("database schema"):
        template_database.provide(stack.variables)
    measured = coverage.OPTIONS if os.environ.get("COVERAGE") else []
    variables = {**stack.variables, template_database.VARIABLE: template_database.NAME}
    return _pytest(stack, "rooms", [*SIDE_BY_SIDE, *measured, *options], variables)


def _run_journeys(stack: Stack, options: Sequence[str]) -> dict[str, int]:
    """Run the journeys that share the stack side by side, then the others one after another."""
    try:
        bring_up_beside_services(stack)
    except Interrupted:
        raise
    except StackError as error:
        stack.steps.say(f"  ✗ {error}")
        return {"journeys": 1}
    # All workers use the one stack: no services of their own.
    variables = {**stack.variables, "PYTEST_PLUGINS": ""}
    shared = ["tests/journeys", "-m", "not alone", *JOURNEYS_SIDE_BY_SIDE, *options]
    alone = ["tests/journeys", "-m", "alone", *options]
    return {
        "journeys": _pytest(stack, "journeys", shared, variables),
        "journeys alone": _pytest(stack, "journeys-alone", alone, variables),
    }


def _pytest(stack: Stack, name: str, options: Sequence[str], variables: dict[str, str]) -> int:
    """Run pytest beside the stack; its JUnit report is var/log/NAME.xml. Returns its exit code."""
    began = time.monotonic()
    recording = [f"--record-durations={RECORDED}", f"--junitxml={ROOT / 'var' / 'log' / name}.xml"]
    command = [*PYTEST, *options, *recording]
    stack.steps.say(f"\n{name}: {shlex.join(command[2:])}")
    try:
        code = foreground(stack, command, variables)
    except Interrupted:
        raise
    except StackError as error:
        stack.steps.say(f"  ✗ {error}")
        code = 1
    mark = "✓" if code in (0, NOTHING_SELECTED) else f"✗ (exit {code})"
    stack.steps.say(f"  {mark} {name:<30}{time.monotonic() - began:6.1f} s")
    return code
