"""`make check`: style, types, layers, migrations, templates, scripts, deployments, clients, vulnerabilities.

They run side by side: one more than most machines have processors for, because the audit waits for a database
elsewhere. What could not be looked at is skipped, and fails where the variable CI is set.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import yaml

from stack import env_file, services
from stack.checks import NOT_CHECKED, Outcome, closing_line
from stack.folders import ROOT
from stack.run import folder
from stack.steps import Steps

MAX_PARALLEL = 3
COMPOSE = "docker-compose.yml"
SHELL_SCRIPTS = ("install.sh", ".ci/*", "deploy/*.sh", "dev/trials/compose/stand_ins/*entrypoint*")
# What may be skipped on CI too, and why.
MAY_BE_SKIPPED = {"known vulnerabilities": "a database that does not answer is no fault of a commit"}
BY_HAND = {"EMAIL_URL": "smtp://mail.example.com"}  # what nobody but a person can fill in


def check() -> int:
    """Run every check, show the output of those that fail, and return 0 if none did."""
    steps = Steps()
    with folder(None) as folders, services.opened(folders, steps) as stack:
        stack.waiting.all(services.start(stack))
        one = partial(_run_check, variables=stack.variables, steps=steps)
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            outcomes = list(pool.map(one, commands().items()))
    steps.say(f"\n{closing_line(outcomes)}")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def commands() -> dict[str, list[str]]:
    """Return each check's title and command, the slowest first."""
    binaries = Path(sys.executable).parent
    return {
        "types": [str(binaries / "mypy")],
        "known vulnerabilities": [sys.executable, "-m", "stack.auditing"],
        "site, migrations, API document": [sys.executable, "-m", "stack.clients", "site"],
        "templates": [str(binaries / "djlint"), "templates", "--lint", "--quiet"],
        "floors": [str(binaries / "lint-imports")],
        "code": [str(binaries / "ruff"), "check"],
        "dependencies": [str(binaries / "deptry"), "."],
        "cli dependencies": [str(binaries / "deptry"), "cli/src", "--config", "cli/pyproject.toml"],
        "format": [str(binaries / "ruff"), "format", "--check"],
        "distributions": [sys.executable, "-m", "stack.distributions"],
        "browser scripts": [sys.executable, "-m", "stack.clients", "scripts"],
        "shell scripts": [str(binaries / "shellcheck"), *find_shell_scripts()],
        "workflows": [sys.executable, "-m", "stack.checks", "workflows"],
        "alerts": [sys.executable, "-m", "stack.checks", "alerts"],
        "kubernetes": [sys.executable, "-m", "stack.manifests"],
        "compose file": [sys.executable, "-m", "stack.checking"],
    }


def find_shell_scripts() -> list[str]:
    """Return every script that a shell runs; a test compares them with the tree."""
    found = [file for pattern in SHELL_SCRIPTS for file in ROOT.glob(pattern)]
    return sorted(str(file.relative_to(ROOT)) for file in found)


def _run_check(one: tuple[str, list[str]], *, variables: Mapping[str, str], steps: Steps) -> Outcome:
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
    is_refused = bool(variables.get("CI")) and title not in MAY_BE_SKIPPED
    outcome = Outcome.read(title, done.returncode, done.stdout, may_be_skipped=not is_refused)
    if not outcome.passed:
        steps.say(f"  ✗ {title}: {' '.join(command)}\n{done.stdout}")
        return outcome
    if outcome.skipped:
        steps.say(f"  - {title}: {outcome.skipped}")
    else:
        steps.done(title, time.monotonic() - began)
    for note in outcome.notes:
        steps.say(f"    {note}")
    return outcome


def check_compose() -> int:
    """Validate the compose file with an .env that `make secrets` would write; return an exit code.

    Without docker-compose only its YAML is read.
    """
    command = _compose_command()
    if not command:
        yaml.safe_load((ROOT / COMPOSE).read_text())
        print(f"{NOT_CHECKED}docker-compose is not installed, so {COMPOSE} was only read as YAML.")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        env = Path(temporary) / "env"
        env_file.write(env)
        options = ["--env-file", str(env), "-f", COMPOSE, "config", "--quiet"]
        return subprocess.run([*command, *options], env={**os.environ, **BY_HAND}).returncode


def _compose_command() -> list[str]:
    docker = ["docker", "compose"]
    if shutil.which("docker") and subprocess.run([*docker, "version"], capture_output=True).returncode == 0:
        return docker
    return ["docker-compose"] if shutil.which("docker-compose") else []


if __name__ == "__main__":
    sys.exit(check_compose())
