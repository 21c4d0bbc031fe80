"""Make the engine's environment: `install.py --uv PATH --root DIR [--ray]` fills DIR/.venv-engine.

A GPU where `nvidia-smi` works, a CPU elsewhere; ENGINE_DEVICE=cpu or cuda overrides. --ray adds Ray Serve LLM
for engine/serve_ray.py. A second call sees by its stamps that nothing changed and returns at once. Standard
library only.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path(__file__).resolve().parent
REQUIREMENTS = {"cpu": "requirements-cpu.txt", "cuda": "requirements-gpu.txt"}
RAY = "requirements-ray.txt"
OVERRIDES = "overrides.txt"
TORCH_INDEX = ["--torch-backend", "cpu"]  # PyTorch's own package index; PyPI has the CUDA build
VERSIONS = ("3.13", "3.12", "3.11", "3.14")
STAMP, RAY_STAMP = "engine-requirements.sha256", "ray-requirements.sha256"
REPORT = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
UNREACHABLE = "Failed to fetch"  # how uv says that an index does not answer


class CannotInstall(SystemExit):
    """The engine's environment cannot be made; the message says what to do."""


@dataclass(frozen=True)
class Python:
    """An interpreter that runs."""

    path: str
    version: str


def device() -> str:
    """Return "cuda" or "cpu". Raises CannotInstall if ENGINE_DEVICE is neither."""
    wanted = os.environ.get("ENGINE_DEVICE", "")
    if wanted:
        if wanted not in REQUIREMENTS:
            raise CannotInstall(f"ENGINE_DEVICE is {wanted!r}: set it to cpu or cuda, or unset it.")
        return wanted
    if not shutil.which("nvidia-smi"):
        return "cpu"
    return "cuda" if subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0 else "cpu"


def lock_of(kind: str, *, with_ray: bool = False) -> Path:
    """Return the file that names all packages for a device, or what Ray adds; engine/lock.py made it."""
    return ENGINE / "locks" / f"{kind}{'-ray' if with_ray else ''}.txt"


def fingerprint(kind: str, *, with_ray: bool = False) -> str:
    """Return the hash of everything that decides what is installed."""
    return hashlib.sha256(kind.encode() + lock_of(kind, with_ray=with_ray).read_bytes()).hexdigest()


def pythons(uv: str) -> list[Python]:
    """Return the interpreters that vLLM supports and that run here, best first."""
    found: dict[str, Python] = {}
    for version in VERSIONS:
        asked = run([uv, "python", "find", "--no-project", version])
        for path in (asked.stdout.strip(), shutil.which(f"python{version}")):
            if path and (python := probe(path, version)):
                found.setdefault(version, python)
    return list(found.values())


def probe(path: str, version: str) -> Python | None:
    """Return the interpreter behind `path`; None if it does not run (a version manager's stub may not)."""
    answer = run([path, "-c", REPORT])
    lines = answer.stdout.split("\n")
    if answer.returncode or len(lines) < 2 or lines[1] != version:
        return None
    return Python(path=lines[0], version=version)


def find_links(candidates: list[Python]) -> list[str]:
    """Return uv's options for the wheel folders that pip is configured with; uv itself does not read them."""
    folders = os.environ.get("PIP_FIND_LINKS", "")
    for python in candidates:
        if not folders:
            folders = run([python.path, "-m", "pip", "config", "get", "global.find-links"]).stdout
    return [option for folder in folders.split() for option in ("--find-links", folder)]


def sources(kind: str, candidates: list[Python]) -> list[list[str]]:
    """Return uv's options for where to look: the packages configured here, then also PyTorch's own index."""
    ambient = find_links(candidates)
    return [ambient, [*ambient, *TORCH_INDEX]] if kind == "cpu" else [ambient]


def locked(lock: Path) -> list[str]:
    """Return uv's options for just the packages of a lock, and nothing compiled."""
    return [str(lock), "--no-deps", "--no-build"]


def choose(uv: str, kind: str, candidates: list[Python]) -> tuple[Python, list[str]]:
    """Return the first interpreter and source for which every wheel is found. Raises CannotInstall."""
    if not candidates:
        raise CannotInstall(f"No Python {' or '.join(VERSIONS)} runs here: install one, then run this again.")
    complaints = {}
    for source in sources(kind, candidates):
        for python in candidates:
            resolve = [uv, "pip", "compile", "--quiet", "--python", python.path]
            resolved = run([*resolve, *locked(lock_of(kind)), *source])
            if not resolved.returncode:
                return python, source
            complaints[python.version] = f"Python {python.version}: {reason(resolved.stderr)}"
    failed = f"The packages in engine/locks/{kind}.txt were found for no Python here:"
    raise CannotInstall("\n".join([failed, *complaints.values(), advice(*complaints.values())]))


def reason(stderr: str) -> str:
    """Return the line of uv's message that tells the cause."""
    causes = [line.strip() for line in stderr.splitlines() if line.strip().startswith(("cause:", "error:"))]
    deepest = causes[1:2] or causes  # below "error: …" lies the first cause; what follows is detail
    return deepest[0].split(":", 1)[1].strip() if deepest else stderr.strip()[-300:]


def advice(*complaints: str) -> str:
    if any(UNREACHABLE in complaint for complaint in complaints):
        return "A package index could not be reached: check the network (or UV_INDEX), then run this again."
    return f"Install one of Python {', '.join(VERSIONS)} that has these wheels, then run this again."


def install(uv: str, root: Path) -> None:
    """Make `root`/.venv-engine hold exactly the requirements. Raises CannotInstall."""
    kind, started = device(), time.monotonic()
    environment = root / ".venv-engine"
    stamp = environment / STAMP
    if stamp.is_file() and stamp.read_text() == fingerprint(kind) and (environment / "bin/python").exists():
        return print(f"Engine environment ({kind}): up to date in {environment}")
    python, source = choose(uv, kind, pythons(uv))
    print(f"Engine environment ({kind}): Python {python.version}, {python.path}", flush=True)
    own = str(environment / "bin/python")
    if probe(own, python.version) is None:
        follow([uv, "venv", "--no-project", "--clear", "--quiet", "--python", python.path, str(environment)])
    (environment / RAY_STAMP).unlink(missing_ok=True)  # Ray goes with all that the lock doesn't name
    only = ["--python", own, "--no-build", "--verify-hashes"]
    follow([uv, "pip", "sync", *only, str(lock_of(kind)), *source, *quiet()])
    stamp.write_text(fingerprint(kind))
    print(f"Engine environment ({kind}): installed in {time.monotonic() - started:.0f} s")


def add_ray(uv: str, root: Path) -> None:
    """Add Ray to `root`/.venv-engine, and change none of the pinned packages there. Raises CannotInstall."""
    kind, environment = device(), root / ".venv-engine"
    stamp, wanted = environment / RAY_STAMP, fingerprint(kind, with_ray=True)
    if stamp.is_file() and stamp.read_text() == wanted:
        return print(f"Ray: up to date in {environment}")
    only = ["--requirements", *locked(lock_of(kind, with_ray=True)), "--verify-hashes"]
    follow([uv, "pip", "install", "--python", str(environment / "bin/python"), *only, *quiet()])
    stamp.write_text(wanted)
    print("Ray: installed")


def quiet() -> list[str]:
    """Return uv's option to print no list of packages, unless a person watches its progress bars."""
    return [] if sys.stderr.isatty() else ["--quiet"]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Return what `command` said; a command that cannot start counts as failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environ())
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, stdout="", stderr=str(error))


def follow(command: list[str]) -> None:
    """Run `command` in view. Raises CannotInstall if it fails."""
    if subprocess.run(command, env=environ()).returncode:
        raise CannotInstall(
            "The engine environment was not installed; uv's message above says why. "
            "Free disk space (4 GB are needed) or mend the network, then run this again: what it has is kept."
        )


def environ() -> dict[str, str]:
    """Return the environment for uv: the interpreters that are here are enough, none is downloaded."""
    return {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uv", default=shutil.which("uv"), help="the uv program (default: the one on PATH)")
    parser.add_argument("--root", type=Path, default=ENGINE.parent, help="where .venv-engine is made")
    parser.add_argument("--ray", action="store_true", help="also install Ray Serve LLM")
    options = parser.parse_args()
    if not options.uv or not shutil.which(options.uv):
        raise CannotInstall("uv was not found: give its path with --uv, or install it (pip install uv).")
    install(options.uv, options.root.absolute())
    if options.ray:
        add_ray(options.uv, options.root.absolute())


if __name__ == "__main__":
    main()
