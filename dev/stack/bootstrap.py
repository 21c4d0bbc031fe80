"""Make the environments: `python -I dev/stack/bootstrap.py [--engine] [--ray] [--guides]`; Python ≥ 3.11.

Finds or installs uv, then fills `.venv` from uv.lock and, with --engine or --ray, `.venv-engine`. The second
time it sees that nothing changed and is done in well under a second. Output of the tools goes to var/log/.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "var" / "log"
UV_HOME = ROOT / "var" / "uv"
UV_REQUIREMENT = "uv>=0.9"
WEB = ROOT / ".venv"
STAMP = WEB / "stack.sha256"
NEEDED = (3, 12)
NEEDED_GB = 6
ENGINE_MACHINES = ("x86_64", "aarch64")  # for which there are wheels of vLLM, and engine/libnuma.py
CPU_INFO = Path("/proc/cpuinfo")
GUIDES = "dev/stack/guides.py"


class Stop(SystemExit):
    """The environments cannot be made; the message is one line that says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(f"\n✗ {message}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--engine", action="store_true", help="also make .venv-engine, the environment of vLLM"
    )
    parser.add_argument("--ray", action="store_true", help="also make it, with Ray Serve LLM in it")
    parser.add_argument("--guides", action="store_true", help="also make the guides' pages, for tests")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    engine_elsewhere = os.environ.get("ENGINE_URL") and os.environ.get("BASE_MODEL_DIR")
    _require_linux()
    if (options.engine or options.ray) and not engine_elsewhere:
        require_engine_machine()
    LOGS.mkdir(parents=True, exist_ok=True)
    _step("web environment", sync)
    _step("translations", compile_translations)
    _step("web fonts", make_web_fonts)
    if options.guides:
        _step("guides", make_guides)
    if options.ray:
        _step("engine environment (Ray)", partial(engine, "--ray"))
    elif options.engine and not engine_elsewhere:  # the base model is prepared in the engine's environment
        _step("engine environment (vLLM)", engine)


def sync() -> bool:
    """Make .venv equal to uv.lock; return False if it already is. Raises Stop."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and runs(str(WEB / "bin" / "python")):
        return False
    command = [find_uv(), "sync", "--frozen"]
    log = LOGS / "web-environment.log"
    for downloads in ("never", "automatic"):  # an interpreter that is here is quicker than one to fetch
        if _logged(command, log, {"UV_PYTHON_DOWNLOADS": downloads, "VIRTUAL_ENV": ""}):
            STAMP.write_text(wanted)
            return True
        if "No interpreter found" not in log.read_text():
            break
    raise Stop(_reason(log))


def compile_translations() -> bool:
    """Make the catalogues that Django reads of those that people write; return False if none changed."""
    if not any(is_stale(source) for source in ROOT.glob("locale/*/LC_MESSAGES/*.po")):
        return False
    _run_script("locale/compile.py", failure="The translations were not compiled")
    return True


def is_stale(source: Path) -> bool:
    """Return True if a catalogue was not compiled since it changed."""
    compiled = source.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime


def make_web_fonts() -> bool:
    """Make the site's fonts; return False if they are newer than what they are made of."""
    script = "dev/stack/web_fonts.py"
    newest_s = max(source.stat().st_mtime for source in (ROOT / script, STAMP))
    made = list(ROOT.glob("static/fonts/*.woff2"))
    if made and all(font.stat().st_mtime >= newest_s for font in made):
        return False
    _run_script(script, failure="The web fonts were not made")
    return True


def make_guides() -> bool:
    """Make the guides' pages; return False if they are newer than what they are made of."""
    if not are_guides_stale():
        return False
    _run_script(GUIDES, failure="The guides were not made")
    return True


def are_guides_stale() -> bool:
    """Return True if the guides' pages are not there, or something that they are made of changed since."""
    made = ROOT / "docs" / "built" / "en" / "searchindex.js"
    texts = (ROOT / name for name in (GUIDES, "docs/conf.py", "SECURITY.md", "dev/bench/README.md"))
    sources = [
        *texts,
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/??/*"),
        *ROOT.glob("docs/_templates/**/*.html"),
    ]
    return not made.exists() or any(source.stat().st_mtime > made.stat().st_mtime for source in sources)


def engine(*options: str) -> bool:
    """Make .venv-engine; return False if it already is as required."""
    install = ("engine/install.py", "--uv", find_uv(), "--root", str(ROOT), *options)
    return "installed" in _run_script(*install, failure="The engine environment couldn't be created")


def _run_script(script: str, *options: str, failure: str) -> str:
    """Return what a script printed in the web environment. Raises Stop."""
    log = LOGS / f"{Path(script).stem}.log"
    if not _logged([str(WEB / "bin" / "python"), str(ROOT / script), *options], log, {}):
        raise Stop(f"{failure}: {_last(log)} Log: {_shown(log)}")
    return log.read_text()


def fingerprint() -> str:
    """Return the hash of what decides the web environment."""
    digest = hashlib.sha256(str(WEB).encode())
    for name in ("pyproject.toml", "uv.lock"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def find_uv() -> str:
    """Return a uv that runs, installed into var/uv if this machine has none. Raises Stop."""
    own = str(UV_HOME / "bin" / "uv")
    for candidate in (os.environ.get("UV", ""), shutil.which("uv") or "", own):
        if candidate and runs(candidate):
            return candidate
    _install_uv()
    return own


def runs(program: str) -> bool:
    """Return True if the program starts: a version manager's stub may be found and yet not run."""
    try:
        return subprocess.run([program, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def _install_uv() -> None:
    log = LOGS / "uv.log"
    shutil.rmtree(UV_HOME, ignore_errors=True)
    if not _logged([sys.executable, "-m", "venv", str(UV_HOME)], log, {}) and not _venv_by_pip(log):
        raise Stop(
            f"{sys.executable} can't create virtual environments. Install its venv module (on Debian and "
            "Ubuntu: apt-get install python3-venv) or uv, then run this again."
        )
    python = str(UV_HOME / "bin" / "python")
    if not _logged([python, "-m", "pip", "install", UV_REQUIREMENT], log, {}):
        raise Stop(f"uv was not installed: {_last(log)} Check the network, or install uv. Log: {_shown(log)}")


def _venv_by_pip(log: Path) -> bool:
    """Make the environment where Python has pip but no ensurepip, as on Debian; return whether it worked."""
    shutil.rmtree(UV_HOME, ignore_errors=True)
    bare = [sys.executable, "-m", "venv", "--without-pip", str(UV_HOME)]
    install = [sys.executable, "-m", "pip", "--python", str(UV_HOME / "bin" / "python"), "install", "pip"]
    return _logged(bare, log, {}) and _logged(install, log, {})


def _private(path: str, flags: int) -> int:
    """Open a file that, if it is new, only its owner may read."""
    return os.open(path, flags, 0o600)


def _logged(command: list[str], log: Path, variables: dict[str, str]) -> bool:
    """Run a command with its output in the log; return whether it succeeded."""
    with open(log, "w", opener=_private) as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        environment = {name: value for name, value in {**os.environ, **variables}.items() if value}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    return done.returncode == 0


def _reason(log: Path) -> str:
    """Return the one line for a failed sync."""
    text = log.read_text()
    if "No interpreter found" in text:
        needed = ".".join(map(str, NEEDED))
        return (
            f"Python {needed} or newer was not found and couldn't be downloaded. Install it. Log: "
            f"{_shown(log)}"
        )
    if "No space left" in text:
        return "The disk is full. Free 2 GB, then run this again."
    cause = _cause(text)
    return (
        f"The web environment couldn't be created: {cause} Check the network and try again. Log: "
        f"{_shown(log)}"
    )


def _cause(text: str) -> str:
    """Return the deepest cause that uv names."""
    lines = [re.sub(r"^\W+", "", line) for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.lower().startswith(("error:", "cause:", "caused by:", "failed"))]
    return (causes or lines or ["no reason given."])[-1][:200]


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300]


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _step(title: str, action: Callable[[], bool]) -> None:
    began = time.monotonic()
    if sys.stdout.isatty():
        print(f"  … {title}", end="\r", flush=True)
    note = "" if action() else "  (unchanged)"
    print(f"  ✓ {title:<30}{time.monotonic() - began:6.1f} s{note}", flush=True)


def require_engine_machine() -> None:
    """Raises Stop, before anything is downloaded, where vLLM can't run on this machine."""
    if platform.machine() not in ENGINE_MACHINES:
        raise Stop(f"vLLM has no package for {platform.machine()}. Use an x86-64 or ARM machine.")
    if platform.libc_ver()[0] != "glibc":
        raise Stop("vLLM's packages need glibc. Use Debian, Ubuntu, Fedora or similar, not a musl system.")
    if platform.machine() == "x86_64" and not _has_gpu() and " avx2 " not in CPU_INFO.read_text():
        raise Stop("vLLM needs a processor with AVX2 (Intel since 2013, AMD since 2015) or an NVIDIA GPU.")
    free_gb = shutil.disk_usage(ROOT).free / 10**9
    if not (ROOT / ".venv-engine").exists() and free_gb < NEEDED_GB:
        raise Stop(f"Not enough disk space: {free_gb:.0f} GB free, {NEEDED_GB} GB needed.")


def _has_gpu() -> bool:
    return bool(shutil.which("nvidia-smi")) and os.environ.get("ENGINE_DEVICE") != "cpu"


def _require_linux() -> None:
    if sys.platform != "linux":
        raise Stop(
            "The embedded stack only runs on Linux. Use docker-compose.yml, or a Linux machine or container."
        )


if __name__ == "__main__":
    main()
