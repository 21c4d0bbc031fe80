"""Scripts that call a service by the official JavaScript client, run by Node as any user would run them."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "journeys" / "javascript"
INSTALLED = Path(__file__).parents[1] / "var" / "javascript"


def install_client(folder: Path) -> None:
    """Copy the scripts into a folder, with the client as its lock names it. Skips without Node."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    without_modules = shutil.ignore_patterns("node_modules")
    shutil.copytree(SCRIPTS, folder, ignore=without_modules, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(_install_once() / "node_modules")


def _install_once() -> Path:
    """Return where the client is installed. It is fetched again when what is to be installed changes."""
    required = (SCRIPTS / "package.json").read_bytes() + (SCRIPTS / "package-lock.json").read_bytes()
    installed = INSTALLED / hashlib.sha256(required).hexdigest()[:16]
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not installed.exists():
            unfinished = INSTALLED / "unfinished"
            unfinished.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SCRIPTS / name, unfinished)
            _run(unfinished, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            unfinished.rename(installed)
    return installed


def run_script(folder: Path, name: str, **variables: str) -> dict[str, Any]:
    """Return what a script heard."""
    heard: dict[str, Any] = json.loads(_run(folder, "node", name, **variables))
    return heard


def _run(folder: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
