"""`make check`: the site's and the command line's distributions are built, and an index would take them.

Without isolation, so that nothing is downloaded: what builds them stands in uv.lock. What was built stays in
var/distributions until a file that it is made of changes; tests take it from there.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from stack.folders import ROOT

FOLDER = ROOT / "var" / "distributions"
PROJECTS = (ROOT, ROOT / "cli")
# Beside what goes into the sdist: what builds it, and what hatchling adds by itself.
DECIDING = ("pyproject.toml", "uv.lock", ".gitignore", "README.md", "LICENSE", "cli")


def build(project: Path, folder: Path) -> list[Path]:
    """Build a project's sdist, and its wheel from that sdist; return both. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(project)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return sorted(folder.iterdir())


def provide(project: Path) -> list[Path]:
    """Return a project's sdist and wheel as its files are now. Raises CalledProcessError."""
    target = FOLDER / fingerprint() / project.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            build(project, Path(temporary) / "built")
            if not target.exists():  # another process may have been quicker
                (Path(temporary) / "built").rename(target)
    return sorted(target.iterdir())


def fingerprint() -> str:
    """Return the hash of all that both projects are made of."""
    sdist = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"]
    command += [*sdist["only-include"], *DECIDING]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted(set(listed.split("\0")) - {""}):
        if (ROOT / name).is_file():
            digest.update(f"{name}\0".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()[:16]


def check() -> int:
    """Build both projects and let twine judge them strictly; return an exit code."""
    current = FOLDER / fingerprint()
    for older in FOLDER.glob("*"):
        if older != current:
            shutil.rmtree(older, ignore_errors=True)
    names = [str(file) for project in PROJECTS for file in provide(project)]
    command = [sys.executable, "-m", "twine", "check", "--strict", *names]
    return subprocess.run(command, env={**os.environ, "NO_COLOR": "1"}).returncode


if __name__ == "__main__":
    sys.exit(check())
