"""Scripts that call a service by the official JavaScript client, run by Node as any user would run them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "journeys" / "javascript"


def install_client(folder: Path) -> None:
    """Copy the scripts into a folder, and install the client as its lock names it. Skips without Node."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    _run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def run_script(folder: Path, name: str, **variables: str) -> dict[str, Any]:
    """Return what a script heard."""
    heard: dict[str, Any] = json.loads(_run(folder, "node", name, **variables))
    return heard


def _run(folder: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
