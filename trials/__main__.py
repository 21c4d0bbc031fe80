"""What proves the stack: `python -m trials` with one of

chaos | quota-storm | fuzz | fuzz-grammars | requests | restart | scale | soak | bare | compose
"""

import argparse
import sys
from pathlib import Path

from stack.command_line import add_command, run


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trials", description="What proves the stack.")
    commands = parser.add_subparsers(required=True, metavar="TRIAL")

    chaos = add_command(
        commands,
        "chaos",
        calls="trials.chaos.trial:chaos",
        help="kill every part again and again under load, then check the books",
    )
    chaos.add_argument("--kills", type=int, default=36, help="how many (default: 36)")
    chaos.add_argument("--seed", type=int, help="the order and moments of an earlier run")
    chaos.add_argument("--seconds", type=float, default=1200, help="kill no longer than this (default: 1200)")
    chaos.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")

    storm = add_command(
        commands,
        "quota-storm",
        calls="trials.storm.trial:storm",
        help="500 requests at once against a cap that fits only some",
    )
    storm.add_argument("--requests", type=int, default=500, help="how many (default: 500)")

    fuzz = add_command(
        commands,
        "fuzz",
        calls="trials.fuzz.trial:fuzz",
        help="mutated adapters against validation and a real engine",
    )
    fuzz.add_argument("--cases", type=int, default=10_000, help="how many (default: 10,000)")
    fuzz.add_argument("--seed", type=int, default=1, help="another seed, other mutants (default: 1)")
    fuzz.add_argument("--case", type=int, help="only this one of the seed's cases")

    grammars = add_command(
        commands,
        "fuzz-grammars",
        calls="trials.grammars.trial:fuzz_grammars",
        help="dear grammars at a real engine, and a neighbour beside them",
    )
    grammars.add_argument("--cases", type=int, default=1000, help="of chance, beside the 50 (default: 1000)")
    grammars.add_argument("--seed", type=int, default=1, help="another seed, other cases (default: 1)")
    grammars.add_argument("--results", type=Path, help="write the figures into this file, too")

    requests = add_command(
        commands,
        "requests",
        calls="trials.requests.trial:requests",
        help="every field of a request, alone and in pairs",
    )
    requests.add_argument("--cases", type=int, default=10**6, help="how many (default: all)")
    requests.add_argument("--first", type=int, default=0, help="where to begin in the seed's order")
    requests.add_argument("--seed", type=int, default=1, help="another seed, another order (default: 1)")
    requests.add_argument("--seconds", type=float, default=7200, help="begin none later (default: 7200)")

    restart = add_command(
        commands,
        "restart",
        calls="trials.restart:restart",
        help="kill vLLM while many styles are asked for",
    )
    restart.add_argument("--styles", dest="count", type=int, default=200, help="how many (default: 200)")

    scale = add_command(
        commands,
        "scale",
        calls="trials.scale:scale",
        help="thousands of styles on one engine: pages, passes, memory",
    )
    scale.add_argument("--styles", dest="count", type=int, default=2000, help="how many (default: 2000)")

    soak = add_command(
        commands,
        "soak",
        calls="trials.soak:soak",
        help="mixed load and uploads for half an hour: no fault, flat memory, exact books",
    )
    soak.add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    soak.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")

    bare = add_command(
        commands,
        "bare",
        calls="trials.bare:bare",
        help="the demo on a system with Python and make and nothing else",
    )
    bare.add_argument("--python", dest="engine_python", type=Path, help="another interpreter for vLLM")

    add_command(
        commands,
        "compose",
        calls="trials.compose.trial:compose",
        help="docker-compose.yml by podman, from images without a registry",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run(build_parser()))
