"""`python -m stack demo | smoke | test | check | run`: see docs/running.md."""

import argparse
import sys
from pathlib import Path

from stack.command_line import add_command, run


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description="The embedded stack.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = add_command(
        commands, "demo", calls="stack.demo:demo", help="start everything and keep it up until Ctrl-C"
    )
    demo.add_argument("--var", type=Path, help="the data folder (default: var)")

    add_command(
        commands, "smoke", calls="stack.smoke:smoke", help="try the whole stack once, in a temporary folder"
    )
    add_command(
        commands,
        "check",
        calls="stack.checking:check",
        help="style, types, layers, migrations, templates, the compose file, known vulnerabilities",
    )

    add_command(
        commands,
        "sbom",
        calls="stack.bill_of_materials:write",
        help="what an installation is made of: CycloneDX files and docs/licences.md",
    )

    for name, help in (
        ("test", "all tests but the long ones; options after -- go to pytest"),
        ("test-long", "the tests that are marked long"),
    ):
        test = add_command(commands, name, calls=f"stack.testing:{name.replace('-', '_')}", help=help)
        test.add_argument("options", nargs=argparse.REMAINDER)

    quick = add_command(
        commands,
        "test-quick",
        calls="stack.quick:test_quick",
        help="one app's tests; the services stay up between runs",
    )
    quick.add_argument("floor", help="tenants, adapters, inference, billing, or a path below tests/")
    quick.add_argument("options", nargs=argparse.REMAINDER)

    beside = add_command(
        commands, "run", calls="stack.run:run", help="run a command with the services or the whole stack"
    )
    which = beside.add_mutually_exclusive_group()
    which.add_argument("--services", dest="whole", action="store_false", help="the three services only")
    which.add_argument("--all", dest="whole", action="store_true", help="vLLM and the seeded site too")
    beside.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")
    beside.add_argument("command", nargs=argparse.REMAINDER)
    beside.set_defaults(whole=False)
    return parser


if __name__ == "__main__":
    sys.exit(run(build_parser()))
