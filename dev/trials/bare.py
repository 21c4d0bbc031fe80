"""`trials bare`: `make demo` on a Debian that has Python, its venv module and make, and nothing else.

The system is made by debootstrap and entered by chroot, so this needs root. What is downloaded comes the way
that a newcomer's machine gets it; pip's and uv's own variables are handed on, for networks that need them.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import Miss
from stack.folders import ROOT
from trials.debian import SUITE, make_debian, require_root, run

PACKAGES = "python3,python3-venv,make"
FOLDER = ROOT / "var" / "bare"
HOME = "/home/newcomer"
CHECKOUT = f"{HOME}/polyscribe"
USER_ID = 1000
READY_WITHIN_S = 1800.0
ABSENT = ("g++", "gcc", "curl", "git", "uv")
QUESTION = "Describe the rain."
CURL = r"curl (http\S+)/chat/completions .*?Bearer (sk-ps-\w+)"


@dataclass(frozen=True)
class Demo:
    """What `make demo` said when it was ready."""

    address: str
    api_key: str
    elapsed_s: float
    lines: tuple[str, ...]


def bare(*, engine_python: Path | None) -> int:
    """Run the demo on a bare system and ask it for a poem; return 0. Raises StackError.

    `engine_python` is the folder of another interpreter for vLLM, for networks that have no torch for
    Debian's own; it is seen without its header files.
    """
    require_root("debootstrap", "unshare")
    system = _fresh_system()
    with _mounted(system, engine_python) as variables, _demo(system, variables) as demo:
        text = _poem(demo)
    shutil.rmtree(system)  # after a failure it stays to be looked at
    uncompiled = [line.strip() for line in demo.lines if "uncompiled" in line]
    for line in uncompiled:
        print(f"  {line}")
    print(f"  {text}")
    print(f"BARE OK ready_s={demo.elapsed_s:.0f} characters={len(text)}", flush=True)
    return 0


def _fresh_system() -> Path:
    """Return a copy of the bare system with the checkout in a newcomer's home; the original is kept."""
    original = FOLDER / f"{SUITE}.original"
    system = FOLDER / "system"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not original.exists():
        partial = FOLDER / f"{SUITE}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        make_debian(partial, PACKAGES)
        partial.rename(original)
    shutil.rmtree(system, ignore_errors=True)
    run(["cp", "-a", "--reflink=auto", str(original), str(system)])
    for program in ABSENT:
        if shutil.which(program, path=f"{system}/usr/bin:{system}/bin"):
            raise Miss(f"The bare system has {program}: it proves nothing.")
    with (system / "etc/passwd").open("a") as passwd:
        passwd.write(f"newcomer:x:{USER_ID}:{USER_ID}::{HOME}:/bin/sh\n")
    checkout = system / CHECKOUT.lstrip("/")
    checkout.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(checkout)], input=archive.stdout, check=True)
    run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(system / HOME.lstrip("/"))])
    shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
    return system


@contextmanager
def _mounted(system: Path, engine_python: Path | None) -> Iterator[dict[str, str]]:
    """Mount what a system has when it runs; yield the newcomer's environment. Unmount at the end."""
    path = "/usr/local/bin:/usr/bin:/bin"
    handed_on = ("PIP_", "UV_", "SSL_")
    variables = {name: value for name, value in os.environ.items() if name.startswith(handed_on)}
    paths = {Path(value) for value in variables.values() if value.startswith("/")}
    mounted: list[Path] = []
    try:
        for folder in ("dev", "sys"):
            mounted.append(_mount("--rbind", Path("/") / folder, system / folder))
        for source in sorted(filter(Path.exists, paths)):
            mounted.append(_mount("--bind", source, system / str(source).lstrip("/")))
        if engine_python:
            seen = system / str(engine_python).lstrip("/")  # at its own path: it may look there for its parts
            mounted.append(_mount("--bind", engine_python, seen))
            empty = FOLDER / "empty"
            empty.mkdir(exist_ok=True)
            mounted.append(_mount("--bind", empty, seen / "include"))
            path = f"{path}:{engine_python}/bin"
        yield {**variables, "HOME": HOME, "PATH": path, "PYTHONUNBUFFERED": "1"}
    finally:
        for target in reversed(mounted):
            subprocess.run(["umount", "--lazy", str(target)], check=True)


def _mount(how: str, source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in target.parents:
        if folder.name in ("root", "system"):
            folder.chmod(0o755)  # the newcomer is not root
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    run(["mount", how, "--make-rslave", str(source), str(target)])
    return target


@contextmanager
def _demo(system: Path, variables: Mapping[str, str]) -> Iterator[Demo]:
    """Yield the running demo once it is ready. Raises Miss with its last words."""
    environment = [f"{name}={value}" for name, value in variables.items()]
    inside = f"cd {shlex.quote(CHECKOUT)} && exec make demo"
    began_s = time.monotonic()
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={system}/proc"]
    enter += ["chroot", f"--userspec={USER_ID}:{USER_ID}", str(system)]
    process = subprocess.Popen(
        [*enter, "/usr/bin/env", "-i", *environment, "/bin/sh", "-c", inside],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        lines = _lines_until_ready(process, until_s=began_s + READY_WITHIN_S)
        engine_log = system / CHECKOUT.lstrip("/") / "var" / "log" / "engine.log"
        heard = (*lines, *engine_log.read_text(errors="replace").splitlines())
        found = re.search(CURL, "\n".join(lines), re.DOTALL)
        if not found:
            raise Miss("The demo is ready and printed no curl.")
        yield Demo(found[1], found[2], time.monotonic() - began_s, heard)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lines_until_ready(process: subprocess.Popen[str], *, until_s: float) -> tuple[str, ...]:
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        sys.stdout.write(f"  | {line}")
        lines.append(line)
        if line.startswith("Ctrl-C stops everything"):
            return tuple(lines)
        if time.monotonic() > until_s:
            break
    raise Miss(f"`make demo` was not ready: {''.join(lines[-3:]).strip()}")


def _poem(demo: Demo) -> str:
    """Return what the demo's style writes. Raises Miss when that is nothing."""
    body = {"model": "poetry", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 60}
    request = urllib.request.Request(
        f"{demo.address}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {demo.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = str(json.load(answer)["choices"][0]["message"]["content"])
    if not text.strip():
        raise Miss("The style answered nothing.")
    return " ".join(text.split())
