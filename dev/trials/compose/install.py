"""`trials install`: install.sh by podman on stand-in images: how long until it serves, and away again.

A copy of the checkout is installed as an operator unpacks a release. There is no GPU and no registry here, so
the machine's checks are only printed, the site's image is built by podman, and vLLM runs on the CPU.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import yaml

from stack.errors import Miss
from stack.folders import ROOT
from stack.ports import Ports
from stack.steps import Steps
from trials.compose import images, mail
from trials.compose.incidents import IMAGE, VERSION
from trials.compose.project import COMPOSE, NAME, build_override, serving_podman
from trials.compose.trial import MODEL, PROGRAMS
from trials.debian import require_root
from trials.harness import write_result

FOLDER = ROOT / "var" / "install"
RELEASE = FOLDER / "polyscribe"
PUBLISHED = ("WEB_PORT", "WEB_2_PORT", "GATEWAY_PORT", "S3_PORT")
HOST, ADMIN = "localhost", "operator@example.org"
OPTIONS = ("--yes", "--no-proxy", "--force")
FIRST = ("--host", HOST, "--files-host", f"files.{HOST}", "--mail", "smtp://mail.trial:25", "--model", MODEL)
# In this order; each is the options of one run. vLLM's start is `make trial NAME=compose`'s matter.
RUNS: Mapping[str, tuple[str, ...]] = {
    "install": (*FIRST, "--admin", ADMIN, *OPTIONS),
    "repeat": OPTIONS,
    "uninstall": ("uninstall", "--yes"),
    "install_again": OPTIONS,
    "upgrade": ("upgrade",),
    "delete": ("uninstall", "--yes", "--delete-data"),
}
SERVES = re.compile(r"✓ the site serves")
BUILT = FOLDER / "built"  # the first build takes nothing from an earlier one
# docker-compose's own build needs BuildKit.
SHIM = """#!/bin/sh
case $1 in
build) cd {root} && exec {python} -m trials.compose.install ;;
*) exec docker-compose -p {name} -f {release}/docker-compose.yml -f {override} "$@" ;;
esac
"""
DOCKER = """#!/bin/sh
exec podman "$@"
"""


def install() -> int:
    """Run install.sh in each of its ways; write how long each took and return 0. Raises StackError."""
    require_root(*PROGRAMS)
    steps = Steps()
    with steps.step("stand-in base images"):
        images.build_all(COMPOSE)
    shutil.rmtree(FOLDER, ignore_errors=True)
    RELEASE.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(RELEASE)], input=archive, check=True)
    _prepare()
    ports = _take_ports()
    found: dict[str, Any] = {}
    with serving_podman(FOLDER / "podman.sock"):
        try:
            for title, options in RUNS.items():
                with steps.step(title):
                    found[title] = _run_installer(ports, *options)
                steps.say(f"    {found[title]}")
                write_result("install", {"is_whole": title == "delete", "load": os.getloadavg()[1], **found})
        finally:
            command = [str(FOLDER / "bin" / "compose"), "down", "--volumes", "--timeout=5"]
            subprocess.run(command, cwd=RELEASE, env=_environment(ports), capture_output=True)
    print(f"INSTALL OK serves_after_s={found['install']['serves_s']}", flush=True)
    return 0


def _prepare() -> None:
    """Write the stand-ins for docker and its compose plugin, and what differs on this machine."""
    programs = FOLDER / "bin"
    programs.mkdir()
    certificate, _key = mail.make_certificate(FOLDER)
    override = FOLDER / "cpu.yml"
    override.write_text(build_override(yaml.safe_load(COMPOSE.read_text())["services"], certificate))
    shim = SHIM.format(
        python=shlex.quote(sys.executable), root=ROOT, release=RELEASE, name=NAME, override=override
    )
    for name, text in {"compose": shim, "docker": DOCKER}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)


def _take_ports() -> dict[str, str]:
    """Return free ports for what the compose file publishes."""
    ports = Ports()
    try:
        return {name: str(ports.take(name)) for name in PUBLISHED}
    finally:
        ports.release()


def _environment(ports: Mapping[str, str]) -> dict[str, str]:
    programs = FOLDER / "bin"
    return {
        **os.environ,
        **ports,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "dev"),
        "COMPOSE": str(programs / "compose"),
        "DOCKER_HOST": f"unix://{FOLDER / 'podman.sock'}",
        "POLYSCRIBE_VERSION": VERSION,
        "MODELS": str((ROOT / "var" / "models").resolve()),
        "ENGINE_MAX_NUM_SEQS": "16",
    }


def _run_installer(ports: Mapping[str, str], *options: str) -> dict[str, float]:
    """Return after how many seconds the site served, if it said so, and the script was done. Raises Miss."""
    began_s = time.monotonic()
    seconds: dict[str, float] = {}
    said = []
    with subprocess.Popen(
        [str(RELEASE / "install.sh"), *options],
        env=_environment(ports),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as script:
        assert script.stdout
        for line in script.stdout:
            said.append(line)
            if SERVES.search(line):
                seconds.setdefault("serves_s", round(time.monotonic() - began_s, 1))
    seconds["done_s"] = round(time.monotonic() - began_s, 1)
    if script.returncode:
        raise Miss(f"install.sh {' '.join(options)} failed: {''.join(said)[-1500:]}")
    return seconds


def _build() -> None:
    """Build the site's image, as the shim's `compose build` calls this."""
    images.build_image(IMAGE, RELEASE, "Dockerfile", () if BUILT.exists() else ("--no-cache",))
    BUILT.touch()


if __name__ == "__main__":
    _build()
