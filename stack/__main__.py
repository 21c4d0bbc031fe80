"""`python -m stack demo | smoke | test | check | run`: see docs/running.md."""

import argparse
import importlib
import signal
import sys
from pathlib import Path
from types import FrameType

from stack.errors import Interrupted, StackError


def main() -> int:
    options = vars(_parser().parse_args())
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    # only the deed that was asked for is imported: an S3 and an OpenAI client take a second to load
    module, function = options.pop("deed")
    try:
        return int(getattr(importlib.import_module(module), function)(**options))
    except Interrupted:
        return 130
    except StackError as error:
        print(f"\n✗ {error}", file=sys.stderr)
        return 1


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"stopped by {signal.Signals(signum).name}")


def _parser() -> argparse.ArgumentParser:  # noqa: PLR0915 a list of options
    parser = argparse.ArgumentParser(prog="python -m stack", description="The embedded stack.")
    deeds = parser.add_subparsers(required=True, metavar="DEED")

    demo = deeds.add_parser("demo", help="start everything and keep it up until Ctrl-C")
    demo.add_argument("--var", type=Path, help="the data folder (default: var)")
    demo.set_defaults(deed=("stack.demo", "demo"))

    smoke = deeds.add_parser("smoke", help="try the whole stack once in a temporary folder")
    smoke.set_defaults(deed=("stack.smoke", "smoke"))

    check = deeds.add_parser("check", help="style, types, layers, migrations, templates, the compose file")
    check.set_defaults(deed=("stack.checking", "check"))

    chaos = deeds.add_parser("chaos", help="kill every part again and again under load, then check the books")
    chaos.add_argument("--kills", type=int, default=36, help="how many (default: 36)")
    chaos.add_argument("--seed", type=int, help="the order and moments of an earlier run")
    chaos.add_argument("--seconds", type=float, default=1200, help="kill no longer than this (default: 1200)")
    chaos.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")
    chaos.set_defaults(deed=("stack.trials.chaos", "chaos"))

    storm = deeds.add_parser("quota-storm", help="500 requests at once against a cap that fits only some")
    storm.add_argument("--requests", type=int, default=500, help="how many (default: 500)")
    storm.set_defaults(deed=("stack.trials.storm", "storm"))

    restart = deeds.add_parser("trial-restart", help="kill vLLM while many styles are asked for")
    restart.add_argument("--styles", dest="count", type=int, default=200, help="how many (default: 200)")
    restart.set_defaults(deed=("stack.trials.restart", "restart"))

    scale = deeds.add_parser("trial-scale", help="thousands of styles on one engine: pages, passes, memory")
    scale.add_argument("--styles", dest="count", type=int, default=2000, help="how many (default: 2000)")
    scale.set_defaults(deed=("stack.trials.scale", "scale"))

    bare = deeds.add_parser("trial-bare", help="the demo on a system with Python and make and nothing else")
    bare.add_argument("--python", dest="engine_python", type=Path, help="another interpreter for vLLM")
    bare.set_defaults(deed=("stack.trials.bare", "bare"))

    fuzz = deeds.add_parser("fuzz", help="mutated adapters against validation and a real engine")
    fuzz.add_argument("--cases", type=int, default=10_000, help="how many (default: 10,000)")
    fuzz.add_argument("--seed", type=int, default=1, help="another seed, other mutants (default: 1)")
    fuzz.add_argument("--case", type=int, help="only this one of the seed's cases")
    fuzz.set_defaults(deed=("stack.trials.fuzz", "fuzz"))

    requests = deeds.add_parser("trial-requests", help="every field of a request, alone and in pairs")
    requests.add_argument("--cases", type=int, default=10**6, help="how many (default: all)")
    requests.add_argument("--first", type=int, default=0, help="where to begin in the seed's order")
    requests.add_argument("--seed", type=int, default=1, help="another seed, another order (default: 1)")
    requests.add_argument("--seconds", type=float, default=7200, help="begin none later (default: 7200)")
    requests.set_defaults(deed=("stack.trials.requests", "requests"))

    test = deeds.add_parser("test", help="all tests; options after -- go to pytest")
    test.add_argument("options", nargs=argparse.REMAINDER)
    test.set_defaults(deed=("stack.testing", "test"))

    quick = deeds.add_parser("test-quick", help="one floor's tests; the services stay up between runs")
    quick.add_argument("floor", help="tenants, adapters, inference, or a path below tests/")
    quick.add_argument("options", nargs=argparse.REMAINDER)
    quick.set_defaults(deed=("stack.quick", "test_quick"))

    run = deeds.add_parser("run", help="run a command beside the services or the whole stack")
    which = run.add_mutually_exclusive_group()
    which.add_argument("--services", dest="whole", action="store_false", help="the three services only")
    which.add_argument("--all", dest="whole", action="store_true", help="vLLM and the seeded site too")
    run.add_argument("--var", type=Path, help="keep the data in this folder (default: a temporary one)")
    run.add_argument("command", nargs=argparse.REMAINDER)
    run.set_defaults(deed=("stack.run", "run"), whole=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
