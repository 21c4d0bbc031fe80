"""`python -m stack demo | smoke | test | check | run`: see docs/running.md."""

import argparse
import sys
from pathlib import Path

from stack.command_line import add_command, run

# What each calls, and what it does.
COMMANDS = {
    "demo": ("demo:demo", "start everything and keep it up until Ctrl-C"),
    "smoke": ("smoke:smoke", "try the whole stack once, in a temporary folder"),
    "check": (
        "checking:check",
        "style, types, layers, migrations, templates, the compose file, known vulnerabilities",
    ),
    "sbom": (
        "bill_of_materials:write",
        "what an installation is made of: CycloneDX files and docs/licences.md",
    ),
    "test": ("testing:test", "the tests of a tier; options after -- go to pytest"),
    "test-quick": ("quick:test_quick", "one app's tests; the services stay up between runs"),
    "run": ("run:run", "run a command with the services or the whole stack"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description="The embedded stack.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, (function, help) in COMMANDS.items():
        commands[name] = add_command(subparsers, name, calls=f"stack.{function}", help=help)
    commands["demo"].add_argument("--var", type=Path, help="the data folder (default: var)")
    commands["test-quick"].add_argument(
        "floor", help="tenants, adapters, inference, training, billing, or a path below tests/"
    )
    commands["test"].add_argument("--tier", choices=["quick", "ci", "all"], default="quick")
    commands["test"].add_argument(
        "--part", action="append", default=[], help="rooms, pages or journeys (default: all three)"
    )
    for name in ("test", "test-quick"):
        commands[name].add_argument("options", nargs=argparse.REMAINDER)

    beside = commands["run"]
    which = beside.add_mutually_exclusive_group()
    which.add_argument("--services", dest="whole", action="store_false", help="the three services only")
    which.add_argument("--all", dest="whole", action="store_true", help="vLLM and the seeded site too")
    beside.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")
    beside.add_argument("command", nargs=argparse.REMAINDER)
    beside.set_defaults(whole=False)
    return parser


if __name__ == "__main__":
    sys.exit(run(build_parser()))
