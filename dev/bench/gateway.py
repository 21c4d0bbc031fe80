"""`make bench NAME=gateway`: what a gateway costs in front of a stub engine; bench/README.md tells more.

What is measured has a core for itself; load, stub, PostgreSQL and Valkey have the others. A whole run writes
bench/results/gateway.json and the table in docs/performance.md.
"""

import os
import resource
import signal
import subprocess
import sys
import time

from bench import report, targets
from bench.measuring import TARGETS, Bench, Choices
from bench.targets import Starter
from labs import machine
from labs.machine import Cores
from stack.errors import Interrupted, StackError
from stack.ports import Ports
from stack.services import Stack
from stack.steps import Steps

OPEN_FILES = 65_536


def prepared(stack: Stack, choices: Choices, ports: Ports, cores: Cores) -> Bench:
    """Return a run with stub, tenant and each gateway that is asked for and is here."""
    port = targets.start_stub(stack, ports)
    key = targets.create_tenant(stack, f"http://127.0.0.1:{port}")
    starter = Starter(stack, ports, cores, port)
    bench = Bench(choices, stack, starter, key)
    missing = targets.missing()
    for name in TARGETS:
        if name not in choices.targets:
            continue
        if name in missing:
            stack.steps.say(f"  ! {missing[name]}")
            continue
        with stack.steps.step(f"{name} starts"):
            target = starter.start(name, key)
        bench.running.append(target)
        stack.steps.say(f"    {target.url}" + (f", process {target.pid}" if target.pid else ""))
    return bench


def main() -> int:
    """Run what the environment asks for; return 0, whether goals were reached or not."""
    choices = Choices.read()
    cores = Cores.here()
    steps = Steps()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))
    os.sched_setaffinity(0, cores.rest())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what each start compiles takes memory
    began = time.monotonic()
    ports = Ports()
    with targets.open_services(steps) as stack:
        figures = prepared(stack, choices, ports, cores).run()
    figures |= {"seconds": choices.seconds, "rounds": choices.rounds, "cores": len(cores.all)}
    print("\n" + report.text(figures))
    if choices.is_whole:
        report.write(figures, cpu=machine.model(), versions=targets.versions())
    else:
        print("\nNot a whole run: nothing was written.")
    print(f"\n{time.monotonic() - began:.0f} s", flush=True)
    return 0


def _interrupt(signum: int, _frame: object) -> None:
    raise Interrupted(f"stopped by {signal.Signals(signum).name}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        sys.exit(main())
    except Interrupted:
        sys.exit(130)
    except (StackError, subprocess.CalledProcessError) as error:
        sys.exit(f"\n✗ {error}")
