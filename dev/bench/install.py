"""`make bench NAME=peers`: the peers, each in an environment of its own below `.venv-peers`."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.targets import FILES, PEERS, which
from stack.bootstrap import find_uv
from stack.folders import ROOT

IN_PYTHON = ("litellm", "tensorzero")  # they want different versions of the same packages


def main() -> int:
    """Make the environments; uv and npm tell what is wrong. Return the first exit code that is not 0."""
    uv = find_uv()
    for name in IN_PYTHON:
        if code := install_from_pypi(uv, name):
            return code
    if npm := which("npm"):
        if code := install_portkey(npm):
            return code
    else:
        print("! There is no npm: Portkey's gateway is left out.", file=sys.stderr)
    print(f"The peers are installed in {PEERS.name}.")
    return 0


def install_from_pypi(uv: str, name: str) -> int:
    """Install one peer from PyPI; return 0, or the exit code of what failed."""
    folder = PEERS / name
    python = str(folder / "bin" / "python")
    requirements = str(FILES / f"requirements-{name}.txt")
    make = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
    install = [uv, "pip", "install", "--quiet", "--python", python, "--requirement", requirements]
    return run(make, ROOT) or run(install, ROOT)


def install_portkey(npm: str) -> int:
    """Install Portkey's gateway from npm, without running scripts of packages; return 0 or npm's code."""
    folder = PEERS / "portkey"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(FILES / "portkey" / name, folder)
    return run([npm, "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--silent"], folder)


def run(command: list[str], folder: Path) -> int:
    """Run a command; say so where it fails, and return its exit code."""
    code = subprocess.run(command, cwd=folder).returncode
    if code:
        print("✗ The peers were not installed: check the network, then run this again.", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
