"""What proves the stack: `python -m trials NAME`, or `make trial NAME=… ARGS=…`; without a name, the list.

`make trial NAME=gpu` runs gpu.py, which needs neither the environment nor the stack.
"""

import argparse
import os
import sys
from pathlib import Path

from stack.command_line import add_command, run
from stack.folders import ROOT

BASE = ROOT / "var" / "models" / "SmolLM2-135M-Instruct"

# What each calls, and what it does.
TRIALS = {
    "chaos": ("chaos.trial:chaos", "kill every part again and again under load, then check the books"),
    "quota-storm": ("storm.trial:storm", "500 requests at once against a cap that fits only some"),
    "fuzz": ("fuzz.trial:fuzz", "mutated adapters against validation and a real engine"),
    "fuzz-grammars": (
        "grammars.trial:fuzz_grammars",
        "expensive grammars at a real engine, and a neighbour beside them",
    ),
    "requests": ("requests.trial:requests", "every field of a request, alone and in pairs"),
    "restart": ("restart:restart", "kill vLLM while 200 styles are asked for"),
    "soak": ("soak:soak", "mixed load and uploads for half an hour: no fault, flat memory, exact books"),
    "own-style": ("own_style:own_style", "styles of twelve authors, each judged on each author's third book"),
    "provenance": (
        "provenance.trial:provenance",
        "the watermark: found, false alarms, its cost",
    ),
    "styles": ("own_style:train_shipped", "train the shipped styles again"),
    "control": ("own_style:train_control", "train the control that a style is compared with; see NOVELS"),
    "training-kills": (
        "training_kills:training_kills",
        "kill child, worker, engine, Valkey and PostgreSQL during trainings: the same losses, one charge",
    ),
    "mutants": ("mutants:mutants", "break six cores on purpose: do their tests notice?"),
    "bare": ("bare:bare", "the demo on a system with Python and make and nothing else"),
    "compose": ("compose.trial:compose", "docker-compose.yml by podman, from images without a registry"),
    "install": ("compose.install:install", "install.sh by podman: how long until it serves; twice, and away"),
}
# What a trial needs before its modules are imported, unless the environment says otherwise.
VARIABLES = {
    "soak": {"ENGINE_DTYPE": "float32"},
    "provenance": {"OPENBLAS_NUM_THREADS": "1"},
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trials", description="What proves the stack.")
    commands = parser.add_subparsers(required=True, metavar="TRIAL")
    trials = {}
    for name, (function, help) in TRIALS.items():
        trials[name] = add_command(commands, name, calls=f"trials.{function}", help=help)

    for name, kills in {"chaos": 36, "training-kills": 20}.items():
        trials[name].add_argument("--kills", type=int, default=kills, help=f"how many (default: {kills})")
        trials[name].add_argument("--seed", type=int, help="the order and moments of an earlier run")
    for name in ("mutants", "fuzz", "fuzz-grammars", "requests"):
        trials[name].add_argument(
            "--seed", type=int, default=1, help="another seed, other cases (default: 1)"
        )
    broken = trials["mutants"]
    broken.add_argument("--count", type=int, default=20, help="how many of each core (default: 20)")
    broken.add_argument("--core", action="append", default=[], help="only this core")
    broken.add_argument("--options", default="", help="more options for pytest")
    trials["fuzz"].add_argument("--cases", type=int, default=10_000, help="how many (default: 10,000)")
    trials["fuzz"].add_argument("--case", type=int, help="only this one of the seed's cases")
    trials["fuzz-grammars"].add_argument(
        "--cases", type=int, default=1000, help="random ones, beside the 50 (default: 1000)"
    )
    trials["requests"].add_argument("--first", type=int, default=0, help="where to begin in the seed's order")
    trials["soak"].add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    own_style = trials["own-style"]
    own_style.add_argument("authors", nargs="*", help="only these (default: all of NOVELS)")
    own_style.add_argument("--words", type=int, default=20_000, help="to learn (default: 20,000)")
    own_style.add_argument("--recipe", default="{}", help="differences from the default, as JSON")
    own_style.add_argument("--threads", type=int, default=2, help="of the trainer (default: 2)")
    provenance = trials["provenance"]
    provenance.add_argument("parts", nargs="*", help="speed, power, … (default: all)")
    provenance.add_argument("--answers", type=int, default=1000, help="of each kind (default: 1,000)")
    provenance.add_argument("--rounds", type=int, default=10, help="of the speed's comparison (default: 10)")
    styles = trials["styles"]
    styles.add_argument("styles", nargs="*", help="only these (default: all)")
    styles.add_argument("--base", type=Path, default=BASE, help="the base model's folder")
    control = trials["control"]
    control.add_argument("authors", nargs="*", help="only these (default: all of NOVELS)")
    control.add_argument("--language", default="en", help="of the novels (default: en)")
    control.add_argument("--words", type=int, default=20_000, help="from all books (default: 20,000)")
    control.add_argument("--base", type=Path, default=BASE, help="the base model's folder")
    control.add_argument("--base-name", default=BASE.name, help="its name in the engine")
    control.add_argument("--out", type=Path, help="default: engine/controls/LANGUAGE")
    control.add_argument("--threads", type=int, default=2, help="of the trainer (default: 2)")
    trials["bare"].add_argument(
        "--python", dest="engine_python", type=Path, help="another interpreter for vLLM"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run the trial that the command line names; without one, list them."""
    parser = build_parser()
    if not arguments:
        parser.print_help()
        return 0
    for variable, value in VARIABLES.get(arguments[0], {}).items():
        os.environ.setdefault(variable, value)
    return run(parser)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
