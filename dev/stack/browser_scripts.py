"""Part of `make check`: static/js by TypeScript's checker and by oxlint.

oxlint is one program with its rules built in: nothing beside it can age. Scripts that passed are not read
again before they or a tool change. Where npm is missing nothing is checked, and the check says so.
"""

import shutil
import sys
from pathlib import Path

from stack.checks import NOT_CHECKED, once
from stack.clients import NODE, TOOLS, Fault, install_node_tools, run
from stack.folders import ROOT

SCRIPTS = ROOT / "static" / "js"
SETTINGS = ROOT / "dev" / "stack" / "browser"


def check() -> int:
    """Check types and habits of every script of the site; return an exit code."""
    if not shutil.which("npm"):
        print(f"{NOT_CHECKED}npm is not installed, so no script was read.")
        return 0
    files = [*SCRIPTS.rglob("*.js"), *SETTINGS.iterdir(), *TOOLS.glob("package*.json"), Path(__file__)]
    return once("browser-scripts", files, read_scripts)


def read_scripts() -> int:
    """Print what a tool finds; return an exit code."""
    try:
        install_node_tools()
        tools = NODE / "node_modules" / ".bin"
        run([str(tools / "tsc"), "--project", str(SETTINGS / "tsconfig.json")], ROOT)
        run([str(tools / "oxlint"), "--config", str(SETTINGS / "oxlint.json"), str(SCRIPTS)], ROOT)
    except Fault as fault:
        print(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(check())
