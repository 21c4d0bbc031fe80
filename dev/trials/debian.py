"""A Debian of a trial's own, and the commands that make it."""

import os
import shutil
import subprocess
from pathlib import Path

from stack.errors import Miss, MissingPrerequisite

SUITE = "trixie"


def require_root(*programs: str) -> None:
    """Raise MissingPrerequisite unless this is root, and the programs are there."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        raise MissingPrerequisite(f"This needs root and {', '.join(programs)}; missing: {missing or 'root'}.")


def make_debian(folder: Path, packages: str) -> None:
    """Install a small Debian with some packages into a folder. Raises Miss."""
    run(["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(folder), *archive_address()])


def archive_address() -> list[str]:
    """Return the package archive that this machine itself uses, if it is a Debian; else nothing."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(targets, capture_output=True, text=True) if shutil.which("apt-get") else None
    return listed.stdout.split()[:1] if listed else []


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def run(command: list[str]) -> str:
    """Return what a command printed. Raises Miss with its last words."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise Miss(f"{' '.join(command[:3])} failed: {said}")
    return done.stdout
