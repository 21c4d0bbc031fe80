"""`make check`: style, types, layers, migrations, templates and the compose file, two at a time."""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import yaml

from stack import services
from stack.folders import ROOT
from stack.run import folder
from stack.steps import Steps

AT_ONCE = 2
COMPOSE = "docker-compose.yml"


def check() -> int:
    """Run every check, show the output of those that fail, and return 0 if none did."""
    steps = Steps()
    with folder(None) as folders, services.opened(folders, steps) as stack:
        stack.waiting.all(services.start(stack))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            one = partial(_passes, variables=stack.variables, steps=steps)
            passed = list(pool.map(one, commands().items()))
    failed = passed.count(False)
    steps.say(f"\n{len(passed) - failed} passed, {failed} failed")
    return 1 if failed else 0


def commands() -> dict[str, list[str]]:
    """Return each check's title and command, the slowest first."""
    binaries = Path(sys.executable).parent
    manage = [sys.executable, "manage.py"]
    return {
        "types": [str(binaries / "mypy")],
        "templates": [str(binaries / "djlint"), "templates", "--lint", "--quiet"],
        "floors": [str(binaries / "lint-imports")],
        "migrations": [*manage, "makemigrations", "--check", "--dry-run"],
        "site": [*manage, "check", "--fail-level", "WARNING"],
        "code": [str(binaries / "ruff"), "check"],
        "format": [str(binaries / "ruff"), "format", "--check"],
        "compose file": compose(),
    }


def compose() -> list[str]:
    """Return the command that validates the compose file; without docker-compose, only its YAML is read."""
    options = ["--env-file", ".env.example", "-f", COMPOSE, "config", "--quiet"]
    if shutil.which("docker") and _runs(["docker", "compose", "version"]):
        return ["docker", "compose", *options]
    if shutil.which("docker-compose"):
        return ["docker-compose", *options]
    return [sys.executable, "-m", "stack.checking"]


def _passes(one: tuple[str, list[str]], *, variables: Mapping[str, str], steps: Steps) -> bool:
    title, command = one
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        steps.say(f"  ✗ {title}: {' '.join(command)}\n{done.stdout}")
        return False
    steps.done(title, time.monotonic() - began)
    return True


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


if __name__ == "__main__":
    yaml.safe_load((ROOT / COMPOSE).read_text())
    print(f"{COMPOSE} is YAML; it was not validated, because docker-compose is not installed.")
