"""Make the engine's environment: `install.py --uv PATH --root DIR [--ray]` fills DIR/.venv-engine.

It is for a GPU where `nvidia-smi` works and for a CPU elsewhere; ENGINE_DEVICE=cpu or cuda overrides that.
--ray adds Ray Serve LLM for engine/serve_ray.py. A second call sees by its stamps that nothing changed and
returns at once. Standard library only.
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
STAMP = "engine-requirements.sha256"
RAY_STAMP = "ray-requirements.sha256"
REPORT = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
UNREACHABLE = "Failed to fetch"  # how uv says that an index does not answer


class CannotInstall(SystemExit):
    """The engine's environment cannot be made; the message says what to do."""


@dataclass(frozen=True)
class Python:
    """An interpreter that runs."""

    path: str
    version: str


def detect_device() -> str:
    """Return "cuda" or "cpu". Raises CannotInstall if ENGINE_DEVICE is neither."""
    configured = os.environ.get("ENGINE_DEVICE", "")
    if configured:
        if configured not in REQUIREMENTS:
            raise CannotInstall(f"ENGINE_DEVICE is {configured!r}. Set it to cpu or cuda, or unset it.")
        return configured
    # The program may be there without a GPU, so it has to list one.
    if not shutil.which("nvidia-smi"):
        return "cpu"
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True)
    return "cuda" if listed.returncode == 0 else "cpu"


def lock_of(kind: str, *, with_ray: bool = False) -> Path:
    """Return the file that names all packages for a device, or what Ray adds; engine/lock.py made it."""
    suffix = "-ray" if with_ray else ""
    return ENGINE / "locks" / f"{kind}{suffix}.txt"


def fingerprint(kind: str, *, with_ray: bool = False) -> str:
    """Return the hash of everything that decides what is installed."""
    return hashlib.sha256(kind.encode() + lock_of(kind, with_ray=with_ray).read_bytes()).hexdigest()


def find_pythons(uv: str) -> list[Python]:
    """Return the interpreters that vLLM supports and that run here, best first."""
    found: dict[str, Python] = {}
    for version in VERSIONS:
        by_uv = run_captured([uv, "python", "find", "--no-project", version]).stdout.strip()
        for path in (by_uv, shutil.which(f"python{version}")):
            python = probe_python(path, version) if path else None
            if python:
                found.setdefault(version, python)
    return list(found.values())


def probe_python(path: str, version: str) -> Python | None:
    """Return the interpreter behind `path`; None if it does not run (a version manager's stub may not)."""
    answer = run_captured([path, "-c", REPORT])
    lines = answer.stdout.split("\n")
    if answer.returncode or len(lines) < 2 or lines[1] != version:
        return None
    return Python(path=lines[0], version=version)


def find_links(candidates: list[Python]) -> list[str]:
    """Return uv's options for the wheel folders that pip is configured with; uv itself does not read them."""
    folders = os.environ.get("PIP_FIND_LINKS", "")
    for python in candidates:
        if not folders:
            folders = run_captured([python.path, "-m", "pip", "config", "get", "global.find-links"]).stdout
    options = []
    for folder in folders.split():
        options += ["--find-links", folder]
    return options


def package_sources(kind: str, candidates: list[Python]) -> list[list[str]]:
    """Return uv's options for where to look: the packages configured here, then also PyTorch's own index."""
    configured = find_links(candidates)
    if kind == "cpu":
        return [configured, [*configured, *TORCH_INDEX]]
    return [configured]


def lock_options(lock: Path) -> list[str]:
    """Return uv's options for just the packages of a lock, and nothing compiled."""
    return [str(lock), "--no-deps", "--no-build"]


def choose_python(uv: str, kind: str, candidates: list[Python]) -> tuple[Python, list[str]]:
    """Return the first interpreter and source for which every wheel is found. Raises CannotInstall."""
    if not candidates:
        raise CannotInstall(f"Python {' or '.join(VERSIONS)} was not found. Install it, then run this again.")
    complaints = {}
    for source in package_sources(kind, candidates):
        for python in candidates:
            resolve = [uv, "pip", "compile", "--quiet", "--python", python.path]
            resolved = run_captured([*resolve, *lock_options(lock_of(kind)), *source])
            if not resolved.returncode:
                return python, source
            complaints[python.version] = f"Python {python.version}: {find_cause(resolved.stderr)}"
    failed = f"No Python on this machine can install the packages in engine/locks/{kind}.txt:"
    raise CannotInstall("\n".join([failed, *complaints.values(), advise(*complaints.values())]))


def find_cause(stderr: str) -> str:
    """Return the line of uv's message that tells the cause."""
    lines = [line.strip() for line in stderr.splitlines()]
    causes = [line for line in lines if line.startswith(("cause:", "error:"))]
    if not causes:
        return stderr.strip()[-300:]
    # Below "error: …" lies the first cause; what follows is detail.
    cause = causes[1] if len(causes) > 1 else causes[0]
    return cause.split(":", 1)[1].strip()


def advise(*complaints: str) -> str:
    if any(UNREACHABLE in complaint for complaint in complaints):
        return "The package index is unreachable. Check the network (or UV_INDEX), then run this again."
    return f"Install one of Python {', '.join(VERSIONS)} for which these wheels exist, then run this again."


def install_engine(uv: str, root: Path) -> None:
    """Make `root`/.venv-engine hold exactly the requirements. Raises CannotInstall."""
    kind = detect_device()
    started = time.monotonic()
    environment = root / ".venv-engine"
    stamp = environment / STAMP
    if stamp.is_file() and stamp.read_text() == fingerprint(kind) and (environment / "bin/python").exists():
        return print(f"Engine environment ({kind}): up to date in {environment}")
    python, source = choose_python(uv, kind, find_pythons(uv))
    print(f"Engine environment ({kind}): Python {python.version}, {python.path}", flush=True)
    own = str(environment / "bin/python")
    if probe_python(own, python.version) is None:
        run_in_view(
            [uv, "venv", "--no-project", "--clear", "--quiet", "--python", python.path, str(environment)]
        )
    (environment / RAY_STAMP).unlink(missing_ok=True)  # Ray goes with all that the lock doesn't name
    only = ["--python", own, "--no-build", "--verify-hashes"]
    run_in_view([uv, "pip", "sync", *only, str(lock_of(kind)), *source, *quiet_option()])
    # Written last: an installation that was killed is made again.
    stamp.write_text(fingerprint(kind))
    print(f"Engine environment ({kind}): installed in {time.monotonic() - started:.0f} s")


def add_ray(uv: str, root: Path) -> None:
    """Add Ray to `root`/.venv-engine without a change to the packages there. Raises CannotInstall."""
    kind = detect_device()
    environment = root / ".venv-engine"
    stamp = environment / RAY_STAMP
    current = fingerprint(kind, with_ray=True)
    if stamp.is_file() and stamp.read_text() == current:
        return print(f"Ray: up to date in {environment}")
    only = ["--requirements", *lock_options(lock_of(kind, with_ray=True)), "--verify-hashes"]
    run_in_view([uv, "pip", "install", "--python", str(environment / "bin/python"), *only, *quiet_option()])
    stamp.write_text(current)
    print("Ray: installed")


def quiet_option() -> list[str]:
    """Return uv's option to print no list of packages, unless a person watches its progress bars."""
    return [] if sys.stderr.isatty() else ["--quiet"]


def run_captured(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `command` and return its output; a command that cannot start counts as failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, env=uv_environment())
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, stdout="", stderr=str(error))


def run_in_view(command: list[str]) -> None:
    """Run `command` and show its output. Raises CannotInstall if it fails."""
    if subprocess.run(command, env=uv_environment()).returncode:
        raise CannotInstall(
            "The engine environment was not installed; see uv's message above. Free disk space (4 GB "
            "needed) or fix the network, then run this again. It resumes where it stopped."
        )


def uv_environment() -> dict[str, str]:
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
        raise CannotInstall("uv was not found. Set its path with --uv, or install it (pip install uv).")
    install_engine(options.uv, options.root.absolute())
    if options.ray:
        add_ray(options.uv, options.root.absolute())


if __name__ == "__main__":
    main()
