"""Which tests a run leaves out, by their recorded durations: pytest's option --tier.

`quick` (`make test`) leaves out what took longer than its kind's limit when it was recorded, except in
folders whose product code or tests differ from the last commit. `ci` leaves out two thirds of the tests
marked `rotates`; the commit decides which. `all` leaves nothing out. A test without a record is run.
"""

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DURATIONS = Path(__file__).with_name("durations.json")
RECORDED_FROM_S = 0.5
SLOW_S = {"journeys": 11.0, "pages": 15.0}  # a journey shows more than a test of one module
SLOW_ELSEWHERE_S = 1.0
THIRDS = 3
# Why a test may be skipped where CI is set: what it needs is no program that CI could install.
ACCEPTED_SKIPS = {
    "NOVELS names no folder of novels",
    "`make screens` walks through every state",
    "for a Ray cluster: make test-ray",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption("--tier", choices=["quick", "ci", "all"], default="all", help="which tests to leave out")
    group.addoption("--record-durations", type=Path, metavar="FILE", help="add the tests' seconds to a file")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: a journey that needs the stack for itself")
    config.addinivalue_line(
        "markers", "rotates: one commit in three runs it in CI; `make test TIER=all` always does"
    )
    file = config.getoption("--record-durations")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(file))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tier = config.getoption("--tier")
    if tier == "all":
        return
    leave_out = _rotated_out(items)
    if tier == "quick":
        leave_out |= {item.nodeid for item in items if item.get_closest_marker("rotates")}
        leave_out |= _slow({item.nodeid for item in items})
    left_out = [item for item in items if item.nodeid in leave_out]
    items[:] = [item for item in items if item.nodeid not in leave_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Where CI is set, count a skipped test as failed: nobody would read there that it was skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in ACCEPTED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} may not be skipped in CI: {reason}"
    return report


class Durations:
    """Adds up what each test took, set-up and teardown too, and merges that into a file when the run ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        recorded = json.loads(self._file.read_text()) if self._file.exists() else {}
        for name, seconds in self._seconds.items():
            recorded.pop(name, None)
            if seconds >= RECORDED_FROM_S:
                recorded[name] = round(seconds, 1)
        self._file.write_text(json.dumps(dict(sorted(recorded.items())), indent=1) + "\n")


def _slow(names: set[str]) -> set[str]:
    """Return the tests that take too long for a quick run, without those of folders that are worked on."""
    recorded = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
    touched = _touched_folders()
    slow = {name for name in names if recorded.get(name, 0) >= _limit_s(name)}
    return {name for name in slow if not _is_below(name, touched)}


def _limit_s(name: str) -> float:
    return SLOW_S.get(name.split("/")[1], SLOW_ELSEWHERE_S)


def _is_below(name: str, folders: set[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


def _touched_folders() -> set[str]:
    """Return the folders of tests/ that mirror what differs from the last commit; none without Git."""
    command = ["git", "status", "--porcelain", "--no-renames", "--untracked-files=all"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return set()
    files = [
        line[3:].strip('"').removeprefix("platform/").removeprefix("tests/")
        for line in done.stdout.splitlines()
    ]
    folders = {_nearest(Path("tests") / Path(file).parent) for file in files}
    return {str(folder) for folder in folders if folder != Path("tests")}


def _nearest(folder: Path) -> Path:
    """Return the folder, or the first above it that exists: some apps have one folder of tests."""
    return next(path for path in (folder, *folder.parents) if (ROOT / path).is_dir())


def _rotated_out(items: list[pytest.Item]) -> set[str]:
    """Return two thirds of the tests marked `rotates`, other ones for another commit."""
    rotating = sorted(item.nodeid for item in items if item.get_closest_marker("rotates"))
    third = int(_commit(), 16) % THIRDS
    return {name for number, name in enumerate(rotating) if number % THIRDS != third}


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "0"
