"""Part of `make check`: what Django says of the site, its OpenAPI document's readers, and its scripts'.

One process asks Django for everything: it takes seconds to load the site. Two linters then read the document,
and two generators make clients of it. static/js is read by TypeScript's checker and by oxlint, one program
with its rules built in: nothing beside it can age.

The tools are pinned in api_clients/ and installed into var/clients once. What passed is not read again
before it or a tool changes. Where npm is missing nothing of that is checked, and the check says so.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django
from django.core.management import CommandError, call_command

from stack.bootstrap import find_uv
from stack.checks import NOT_CHECKED, digest_of, once
from stack.folders import ROOT

TOOLS = ROOT / "dev" / "stack" / "api_clients"
FOLDER = ROOT / "var" / "clients"
DOCUMENT = FOLDER / "openapi.json"
NODE = FOLDER / "node"
PYTHON = FOLDER / "python"
BINARIES = Path(sys.executable).parent
SITE_URL = "http://127.0.0.1:8000"  # the document names it: with a stack's own port, each run had another one
SCRIPTS = ROOT / "static" / "js"
SCRIPT_SETTINGS = ROOT / "dev" / "stack" / "browser"
# As users of the tools have them: no rule is switched off.
SPECTRAL = 'extends: ["spectral:oas"]\n'


class Fault(Exception):
    """A tool found a fault; the message is what it printed."""


def check_document() -> int:
    """Check the site, lint its document, generate both clients and check their types; return an exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        check_site()
        if not shutil.which("npm"):
            print(f"{NOT_CHECKED}npm is not installed, so no client was generated.")
            return 0
        return once("clients", [DOCUMENT, *TOOLS.iterdir(), Path(__file__)], check_clients)
    except Fault as fault:
        print(fault)
        return 1


def check_clients() -> int:
    """Lint the document and generate both clients, side by side; return 0. Raises Fault."""
    with ThreadPoolExecutor(2) as pool:
        for chain in [pool.submit(check_by_node), pool.submit(check_by_python)]:
            chain.result()
    return 0


def check_site() -> None:
    """Check the settings and that no migration is missing; write the document as the site serves it.

    Raises Fault, also for a warning.
    """
    os.environ["SITE_URL"] = SITE_URL
    django.setup()
    document = {"fail_on_warn": True, "validate": True, "format": "openapi-json", "file": str(DOCUMENT)}
    try:
        call_command("check", fail_level="WARNING")
        call_command("makemigrations", check_changes=True)
        call_command("spectacular", **document)
    except CommandError as error:
        raise Fault(str(error)) from None


def check_by_node() -> None:
    """Lint the document with spectral and redocly, and generate a TypeScript client. Raises Fault."""
    install_node_tools()
    tools = NODE / "node_modules" / ".bin"
    (NODE / "spectral.yaml").write_text(SPECTRAL)
    lint = [str(tools / "spectral"), "lint", str(DOCUMENT), "--ruleset", "spectral.yaml"]
    run([*lint, "--fail-severity", "hint"], NODE)
    report = run([str(tools / "redocly"), "lint", str(DOCUMENT), "--format", "json"], NODE)
    require_no_problems(report)
    run([str(tools / "openapi-typescript"), str(DOCUMENT), "--output", "client.ts"], NODE)
    run([str(tools / "tsc"), "--strict", "--noEmit", "client.ts"], NODE)


def check_by_python() -> None:
    """Generate a Python client without a warning, and check its types. Raises Fault."""
    install_python_tools()
    generate = [str(PYTHON / "bin" / "openapi-python-client"), "generate", "--path", str(DOCUMENT)]
    options = ["--meta", "none", "--output-path", "polyscribe_client", "--overwrite", "--fail-on-warning"]
    run([*generate, *options], FOLDER)
    own = ["--config-file=", "--cache-dir", str(FOLDER / "mypy")]
    libraries = ["--python-executable", str(PYTHON / "bin" / "python")]
    run([str(BINARIES / "mypy"), "--strict", *own, *libraries, "polyscribe_client"], FOLDER)


def install_node_tools() -> None:
    """Install what the lock names, unless it is there; another check may want them too. Raises Fault."""
    names = ("package.json", "package-lock.json")
    NODE.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_installed(NODE, names):
            return
        for name in names:
            shutil.copy(TOOLS / name, NODE)
        quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        run(["npm", "ci", *quietly], NODE)
        _mark_installed(NODE, names)


def install_python_tools() -> None:
    """Install what the lock names, unless it is there. Raises Fault."""
    if _is_installed(PYTHON, ["python.txt"]):
        return
    uv = find_uv()
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(PYTHON)], FOLDER)
    into = ["--python", str(PYTHON / "bin" / "python")]
    run([uv, "pip", "install", "--quiet", *into, "--require-hashes", "-r", str(TOOLS / "python.txt")], FOLDER)
    _mark_installed(PYTHON, ["python.txt"])


def require_no_problems(report: str) -> None:
    """Raise Fault for errors and warnings of redocly, which exits with 0 where there are only warnings."""
    problems = json.loads(report)["problems"]
    if problems:
        lines = [f"{one['severity']} {one['ruleId']}: {one['message']}" for one in problems]
        raise Fault("redocly:\n" + "\n".join(lines))


def run(command: Sequence[str], folder: Path) -> str:
    """Return what a tool prints. Raises Fault unless it exits with 0."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    path = f"{PYTHON / 'bin'}{os.pathsep}{os.environ['PATH']}"  # openapi-python-client looks for ruff there
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **quiet, "PATH": path, "VIRTUAL_ENV": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Fault(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _is_installed(folder: Path, names: Sequence[str]) -> bool:
    stamp = folder / "installed.sha256"
    return stamp.exists() and stamp.read_text() == digest_of([TOOLS / name for name in names])


def _mark_installed(folder: Path, names: Sequence[str]) -> None:
    (folder / "installed.sha256").write_text(digest_of([TOOLS / name for name in names]))


def check_scripts() -> int:
    """Check types and habits of every script of the site; return an exit code."""
    if not shutil.which("npm"):
        print(f"{NOT_CHECKED}npm is not installed, so no script was read.")
        return 0
    settings = [*SCRIPT_SETTINGS.iterdir(), *TOOLS.glob("package*.json"), Path(__file__)]
    return once("browser-scripts", [*SCRIPTS.rglob("*.js"), *settings], read_scripts)


def read_scripts() -> int:
    """Print what a tool finds; return an exit code."""
    try:
        install_node_tools()
        tools = NODE / "node_modules" / ".bin"
        run([str(tools / "tsc"), "--project", str(SCRIPT_SETTINGS / "tsconfig.json")], ROOT)
        run([str(tools / "oxlint"), "--config", str(SCRIPT_SETTINGS / "oxlint.json"), str(SCRIPTS)], ROOT)
    except Fault as fault:
        print(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit({"site": check_document, "scripts": check_scripts}[sys.argv[1]]())
