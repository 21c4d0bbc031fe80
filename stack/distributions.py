"""`make check`: the site's and the command line's distributions are built, and an index would take them.

Without isolation, so that nothing is downloaded: what builds them stands in uv.lock.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stack.folders import ROOT

PROJECTS = (ROOT, ROOT / "cli")


def build(project: Path, folder: Path) -> list[Path]:
    """Build a project's sdist, and its wheel from that sdist; return both. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(project)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return sorted(folder.iterdir())


def check() -> int:
    """Build both projects and let twine judge them strictly; return an exit code."""
    with tempfile.TemporaryDirectory() as temporary:
        built: list[Path] = []
        for project in PROJECTS:
            built += build(project, Path(temporary) / project.name)
        names = [str(file) for file in built]
        command = [sys.executable, "-m", "twine", "check", "--strict", *names]
        return subprocess.run(command, env={**os.environ, "NO_COLOR": "1"}).returncode


if __name__ == "__main__":
    sys.exit(check())
