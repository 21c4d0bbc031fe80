"""Update engine/locks/: every package that install.py installs, with the hashes of its files.

    engine/lock.py --uv PATH      after a change of requirements-*.txt or overrides.txt; commit the result

A lock holds for Linux on x86-64 and ARM and for Python 3.11 to 3.14; packages that it has already keep their
versions. The CPU builds of torch and torchvision are named without hashes: they come from PyTorch's own
index, or from a folder of wheels that pip is configured with, and the two may not be the same files.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from install import ENGINE, OVERRIDES, RAY, REQUIREMENTS, lock_of

LINUX = "sys_platform == 'linux' and platform_python_implementation == 'CPython'"
PLATFORMS = [f"{LINUX} and platform_machine == '{machine}'" for machine in ("x86_64", "aarch64")]
OLDEST_PYTHON = "3.11"
# Left out while the CPU's lock is made: PyPI has other builds under these names. What they need stands below.
UNHASHED = ("torch==2.13.0+cpu", "torchvision==0.28.0+cpu")
NEEDED_BY_UNHASHED = """
filelock
fsspec>=0.8.5
jinja2
networkx>=2.5.1
numpy
pillow>=5.3.0
setuptools>=77.0.3
sympy>=1.13.3
typing-extensions>=4.10.0
"""
# One of intel-openmp's wheels doesn't name it, and uv reads only one.
UNNAMED = "intel-cmplr-lib-ur==2024.2.1 ; platform_machine == 'x86_64'"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uv", default=shutil.which("uv"), help="the uv program (default: the one on PATH)")
    uv = parser.parse_args().uv
    with tempfile.TemporaryDirectory() as folder:
        for kind in REQUIREMENTS:
            write_lock(uv, Path(folder), kind)
            write_lock(uv, Path(folder), kind, with_ray=True)


def write_lock(uv: str, folder: Path, kind: str, *, with_ray: bool = False) -> None:
    """Write one lock. The lock of Ray names only what it adds to the engine's."""
    engine_lock = lock_of(kind)
    lock = lock_of(kind, with_ray=with_ray)
    source = RAY if with_ray else REQUIREMENTS[kind]
    requirements = (ENGINE / source).read_text()
    overrides = (ENGINE / OVERRIDES).read_text()
    unhashed: tuple[str, ...] = ()
    if kind == "cpu" and not with_ray:
        unhashed = UNHASHED
        lines = [line for line in requirements.splitlines() if not line.startswith("torch")]
        requirements = "\n".join([*lines, NEEDED_BY_UNHASHED, UNNAMED])
    if kind == "cpu":
        overrides += '\ntorch ; sys_platform == "none"\ntorchvision ; sys_platform == "none"\n'
    (folder / "pyproject.toml").write_text(f"[tool.uv]\nenvironments = {json.dumps(PLATFORMS)}\n")
    (folder / "requirements.in").write_text(requirements)
    (folder / "overrides.txt").write_text(overrides)
    output = folder / "lock.txt"
    output.write_text(lock.read_text() if lock.exists() else "")  # uv keeps the versions that it finds there
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON]
    command += ["--generate-hashes", "--no-build", "--no-annotate", "--no-header"]
    command += ["--overrides", "overrides.txt", "requirements.in", "--output-file", "lock.txt"]
    if with_ray:
        command += ["--constraints", str(engine_lock)]
    subprocess.run(command, cwd=folder, check=True)
    text = output.read_text()
    if with_ray:
        text = subtract_lock(text, engine_lock.read_text())
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("\n".join([f"# Made by engine/lock.py from {source}.", *unhashed, text]))


def subtract_lock(text: str, known: str) -> str:
    """Return a lock without what another one has at the same version for the same interpreters."""
    known_entries = set(lock_entries(known))
    return "".join(entry for entry in lock_entries(text) if entry not in known_entries)


def lock_entries(text: str) -> list[str]:
    """Return a lock's packages, each with its hashes."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("    ") and found:
            found[-1] += line
        elif line.strip() and not line.startswith("#"):
            found.append(line)
    return found


if __name__ == "__main__":
    main()
