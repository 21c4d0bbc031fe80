"""What the checks of `make check` share, and two of them: CI's own files, and the rules of Prometheus."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stack.folders import ROOT

# What passed is not read again before it, or what reads it, changes.
FOLDER = ROOT / "var" / "passed"


def once(name: str, files: Iterable[Path], check: Callable[[], int]) -> int:
    """Return 0 if a check passed on these files before, else what it returns now."""
    digest = digest_of(sorted(files))
    stamp = FOLDER / f"{name}.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return 0
    code = check()
    if code == 0:
        FOLDER.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest)
    return code


def digest_of(files: Iterable[Path]) -> str:
    """Return the SHA-256 of what stands in some files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


NOTE = "note: "  # what a check that passes has to say
NOT_CHECKED = "not checked: "  # a check could not look, and why
NOT_AUDITED = "not audited: "  # the same of the audit of dependencies


@dataclass(frozen=True)
class Outcome:
    """How a check ended: `skipped` says why it could not look, with what was not done before it."""

    title: str
    passed: bool
    notes: tuple[str, ...] = field(default=())
    skipped: str = ""

    @classmethod
    def read(cls, title: str, returncode: int, printed: str, *, may_be_skipped: bool = True) -> Self:
        """Return the outcome of a check that exited with a code and printed some lines.

        What could not look has failed unless it may be skipped.
        """
        lines = printed.splitlines()
        skipped = [line for line in lines if line.startswith((NOT_CHECKED, NOT_AUDITED))]
        notes = tuple(line for line in lines if line.startswith(NOTE))
        passed = returncode == 0 and (may_be_skipped or not skipped)
        return cls(title, passed=passed, notes=notes, skipped="; ".join(skipped))


def closing_line(outcomes: list[Outcome]) -> str:
    """Return the last line of `make check`: what was not looked at is never counted as passed."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    skipped = [outcome for outcome in outcomes if outcome.passed and outcome.skipped]
    passed = len(outcomes) - len(failed) - len(skipped)
    line = f"{passed} passed, {len(failed)} failed"
    if skipped:
        said = "; ".join(f"{outcome.title} {outcome.skipped}" for outcome in skipped)
        line += f", {len(skipped)} skipped: {said}"
    return line


BINARIES = Path(sys.executable).parent
WORKFLOWS = ROOT / ".github" / "workflows"
# Each schema that check-jsonschema carries, and the files that it is for.
SCHEMAS = {
    "vendor.github-workflows": sorted(WORKFLOWS.glob("*.yml")),
    "vendor.gitlab-ci": [ROOT / ".gitlab-ci.yml"],
    "vendor.renovate": [ROOT / "renovate.json"],
}
OBSERVABILITY = ROOT / "deploy" / "observability"
PROMTOOL = (("rules", "alerts.yml"), ("config", "--syntax-only", "prometheus.yml"))


def check_workflows() -> int:
    """Check CI's files against their own schemas, and GitHub's workflows by zizmor; return an exit code."""
    files = [file for files in SCHEMAS.values() for file in files]
    return once("workflows", [*files, ROOT / "uv.lock", Path(__file__)], read_files)


def read_files() -> int:
    """Print what is wrong with a file; return an exit code."""
    commands = [[str(BINARIES / "zizmor"), "--offline", "--no-progress", "--quiet", str(WORKFLOWS)]]
    for schema, files in SCHEMAS.items():
        names = [str(file) for file in files]
        commands.append([str(BINARIES / "check-jsonschema"), "--builtin-schema", schema, *names])
    return max(subprocess.run(command).returncode for command in commands)


def check_alerts() -> int:
    """Print what Prometheus would refuse of its rules and its configuration; return an exit code."""
    if not shutil.which("promtool"):
        print(f"{NOT_CHECKED}promtool is not installed (on Debian: prometheus), so no rule was read.")
        return 0
    commands = [["promtool", "check", *check] for check in PROMTOOL]
    return max(subprocess.run(command, cwd=OBSERVABILITY).returncode for command in commands)


if __name__ == "__main__":
    sys.exit({"workflows": check_workflows, "alerts": check_alerts}[sys.argv[1]]())
