"""What one request and one stream cost a gateway process, in processor time, instructions or Python calls.

`python -m bench.request_cost` prints processor microseconds, of the process and of the kernel for it.
`--instructions` runs each under valgrind and counts the instructions outside the kernel: slow, and steadier
than time. Heartbeats and polls go by the clock, so a busy machine adds two percent: compare runs at the same
load. `--calls` counts how often a Python function was begun or resumed, heartbeats and polls with them, and
prints the first of them. `--against DIR` measures another checkout in turn.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from bench import load, targets
from labs import machine, report
from labs.stub_engine import BURST, INSTANT
from stack.errors import StackError
from stack.folders import ROOT
from stack.ports import Ports
from stack.processes import Program
from stack.services import Stack
from stack.steps import Steps

PARALLEL = 32
WARM_UP = 200
READY_WITHIN_S = 300.0  # valgrind starts slowly
SHOWN_FUNCTIONS = 200


@dataclass(frozen=True)
class Work:
    """One kind of request."""

    name: str
    pace: str
    is_stream: bool = False
    prompt_bytes: int = 0


WORKS = (
    Work("request", INSTANT),
    Work("request of 10 KB", INSTANT, prompt_bytes=10_000),
    Work("request of 100 KB", INSTANT, prompt_bytes=100_000),
    Work("stream of 64 chunks", INSTANT, is_stream=True),
    Work("stream of 1 chunk", BURST, is_stream=True),
)


@dataclass(frozen=True)
class Process:
    """One process that is measured."""

    name: str
    url: str
    key: str
    pid: int


@dataclass
class Costs:
    """Every measurement so far, by process and kind of request."""

    stack: Stack
    works: tuple[Work, ...]
    requests: int
    found: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def measure(self, process: Process, *, counts: str) -> None:
        """Measure one process once, with every kind of request; `counts` is what is counted, "" for time."""
        measure = {"": self._time, "instructions": self._instructions, "calls": self._calls}[counts]
        for work in self.works:
            self._ask(process, work, WARM_UP)
            figures = measure(process, work)
            for unit, value in figures.items():
                self.found[f"{process.name}: {work.name}"][unit].append(value)
            shown = "  ".join(f"{value:,.1f} {unit}" for unit, value in figures.items())
            self.stack.steps.say(f"  {process.name:<10} {work.name:<20} {shown}")

    def medians(self) -> dict[str, dict[str, float]]:
        """Return the median of each figure."""
        summed = {}
        for name, figures in self.found.items():
            summed[name] = {unit: round(median(values), 1) for unit, values in figures.items()}
        return summed

    def _time(self, process: Process, work: Work) -> dict[str, float]:
        before = cpu_us(process.pid)
        answered = self._ask(process, work, self.requests)
        after = cpu_us(process.pid)
        user_us = (after[0] - before[0]) / answered
        system_us = (after[1] - before[1]) / answered
        return {"µs": user_us + system_us, "µs of the kernel": system_us}

    def _instructions(self, process: Process, work: Work) -> dict[str, float]:
        log = self.stack.folders.var / f"{process.name}-{work.name.replace(' ', '-')}.callgrind"
        for switch in (["--instr=on"], ["--zero"]):
            _control(process.pid, *switch)
        answered = self._ask(process, work, self.requests)
        _control(process.pid, f"--dump={work.name}")
        _control(process.pid, "--instr=off")
        newest = max(
            self.stack.folders.var.glob(f"{process.name}.callgrind*"), key=lambda one: one.stat().st_mtime
        )
        shutil.copy(newest, log)
        if keep := os.environ.get("KEEP_CALLGRIND"):
            shutil.copy(newest, Path(keep) / log.name)
        return {"thousand instructions": _total(newest) / answered / 1000}

    def _calls(self, process: Process, work: Work) -> dict[str, float]:
        written = call_counts_path(self.stack, process.name)
        written.unlink(missing_ok=True)
        os.kill(process.pid, signal.SIGUSR1)
        answered = self._ask(process, work, self.requests)
        os.kill(process.pid, signal.SIGUSR2)
        while not written.exists():
            time.sleep(0.05)
        counts: list[tuple[str, int]] = json.loads(written.read_text())
        for name, count in counts[:SHOWN_FUNCTIONS]:
            if count * 10 >= answered:
                self.stack.steps.say(f"    {count / answered:6.1f}  {name}")
        return {"Python calls": sum(count for _, count in counts) / answered}

    def _ask(self, process: Process, work: Work, count: int) -> int:
        options: dict[str, object] = {"seconds": 600, "requests": count, "prompt_bytes": work.prompt_bytes}
        options |= {"stream": True} if work.is_stream else {}
        model = f"style-{work.pace}"
        found = load.run(load.command_of(process.url, process.key, model, parallel=PARALLEL, **options))
        if found.failed:
            raise StackError(f"{process.name} failed {found.failed} times: {found.failure}")
        return found.answered


def cpu_us(pid: int) -> tuple[float, float]:
    """Return the microseconds that a process has used outside the kernel and inside it."""
    times = psutil.Process(pid).cpu_times()
    return times.user * 1_000_000, times.system * 1_000_000


def _control(pid: int, *words: str) -> None:
    subprocess.run(["callgrind_control", *words, str(pid)], check=True, capture_output=True)


def _total(profile: Path) -> int:
    for line in profile.read_text(errors="replace").splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    raise StackError(f"{profile} has no total.")


def call_counts_path(stack: Stack, name: str) -> Path:
    """Return where a process writes its counts of calls."""
    return stack.folders.var / f"{name}.calls"


def processes(stack: Stack, options: argparse.Namespace, ports: Ports, key: str) -> list[Process]:
    """Start everything that is measured."""
    made = []
    checkouts = {"gateway": ROOT} | ({"before": options.against} if options.against else {})
    app = "bench.call_counts:application" if options.calls else "config.gateway:application"
    for name, checkout in checkouts.items():
        port = ports.take(f"cost-{name}")
        paths = os.pathsep.join([str(checkout), str(checkout / "platform"), str(checkout / "dev")])
        variables = {**stack.variables, "WEB_WORKERS": "1"}
        variables["CALL_COUNTS"] = str(call_counts_path(stack, name))
        variables |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": paths}  # never from the current folder
        argv = [word.replace("config.asgi:application", app) for word in web_argv(checkout, port, variables)]
        if options.instructions:
            out = stack.folders.var / f"{name}.callgrind"
            valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
            argv = [*valgrind, *argv]
        stack.supervisor.start(Program(name=name, title=name, argv=argv, env=variables, layer=2))
        url = f"http://127.0.0.1:{port}"
        is_ready = partial(targets.answers, f"{url}/healthz")
        stack.supervisor.await_ready(name, is_ready, within_s=READY_WITHIN_S)
        made.append(Process(name, url, key, stack.supervisor.pid(name)))
    return made


def web_argv(checkout: Path, port: int, variables: Mapping[str, str]) -> list[str]:
    """Return the command by which that checkout starts its web server."""
    python = str(checkout / ".venv" / "bin" / "python")
    code = (
        "import json, sys; from stack import application, folders; from pathlib import Path;"
        "at = folders.Folders(Path('/tmp'));"
        "print(json.dumps(application.programs(int(sys.argv[1]), json.loads(sys.argv[2]), at)[0].argv))"
    )
    command = [python, "-c", code, str(port), json.dumps(dict(variables))]
    done = subprocess.run(command, env=dict(variables), stdout=subprocess.PIPE, text=True, check=True)
    return [python, *json.loads(done.stdout)[1:]]


def main() -> int:
    """Measure, print the medians, and keep them where `--write` says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=0, help="of each kind (5,000; 300 where something is counted)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    counted = parser.add_mutually_exclusive_group()
    counted.add_argument("--instructions", action="store_true")
    counted.add_argument("--calls", action="store_true")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--works", default="", help="the numbers of the kinds of request, such as 0,3")
    parser.add_argument(
        "--write", action="store_true", help="keep the medians in bench/results/request_cost.json"
    )
    options = parser.parse_args()
    works = tuple(WORKS[int(number)] for number in options.works.split(",")) if options.works else WORKS
    counts = "instructions" if options.instructions else "calls" if options.calls else ""
    requests = options.requests or (300 if counts else 5000)
    ports = Ports()
    began_s = time.monotonic()
    with targets.open_services(Steps()) as stack:
        key = targets.create_tenant(stack, f"http://127.0.0.1:{targets.start_stub(stack, ports)}")
        costs = Costs(stack, works, requests)
        measured = processes(stack, options, ports, key)
        for _ in range(1 if counts else options.rounds):
            for process in measured:
                costs.measure(process, counts=counts)
    found = costs.medians()
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if options.write:
        kept = report.read_results("request_cost")
        for name, figures in found.items():
            kept[name] = kept.get(name, {}) | figures
        report.write_results("request_cost", {**kept, "cpu": machine.model()})
    print(f"{time.monotonic() - began_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
