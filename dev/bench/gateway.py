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
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench import gateway_report, load, targets
from bench.load import Report
from bench.targets import Starter, Target
from labs import machine
from labs.machine import Cores
from labs.site import run_in_site
from labs.stub_engine import BURST, HELD, INSTANT, PACED, TOKENS, pace_s
from stack.errors import Interrupted, StackError
from stack.folders import ROOT
from stack.ports import Ports
from stack.services import Stack
from stack.steps import Steps

# The measurements: load on one target after the other, in turn, and what each of them used for it.

# How much a run measures: the BENCH_… variables of the environment.

ROUND = ("rps", "latency", "streams", "burst", "ttfc")
PARTS = (*ROUND, "workers", "memory")
TARGETS = ("direct", "nginx", "litellm", "tensorzero", "polyscribe")


@dataclass(frozen=True)
class Choices:
    """How much is measured; the environment decides."""

    seconds: float
    rounds: int
    requests: int
    held: int
    targets: tuple[str, ...]
    parts: tuple[str, ...]

    @classmethod
    def read(cls) -> "Choices":
        """Return what the BENCH_… variables say. Raises StackError for a word that is none of ours."""
        return cls(
            seconds=float(os.environ.get("BENCH_SECONDS") or 5),
            rounds=int(os.environ.get("BENCH_ROUNDS") or 3),
            requests=int(os.environ.get("BENCH_REQUESTS") or 100_000),
            held=int(os.environ.get("BENCH_HELD") or 1_000),
            targets=_words("BENCH_TARGETS", TARGETS),
            parts=_words("BENCH_PARTS", PARTS),
        )

    @property
    def is_whole(self) -> bool:
        return (
            set(self.parts) == set(PARTS) and self.rounds >= 3 and {"direct", "polyscribe"} <= {*self.targets}
        )


def _words(variable: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(os.environ.get(variable, "").replace(",", " ").split()) or known
    if unknown := set(words) - set(known):
        raise StackError(
            f"{variable}: there is no {', '.join(sorted(unknown))}; choose of {', '.join(known)}."
        )
    return words


HELD_S = 7.0  # longer than the gateway's heartbeat
# What a round measures → the name of what it adds to the direct way in the same round.
ADDED = {
    "p50_ms_c1": "added_p50_ms_c1",
    "p99_ms_c1": "added_p99_ms_c1",
    "ttfc_p50_ms_c64": "ttfc_added_p50_ms_c64",
    "ttfc_p99_ms_c64": "ttfc_added_p99_ms_c64",
}


@dataclass
class Bench:
    """One run: what is measured, and every figure so far, by `<target>_<figure>`."""

    choices: Choices
    stack: Stack
    starter: Starter
    key: str
    running: list[Target] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    counted: list[dict[str, float]] = field(default_factory=list)

    def run(self) -> dict[str, float]:
        """Return every figure, after all parts."""
        for target in self.running:
            self.ask(target, INSTANT, parallel=32, seconds=self.choices.seconds)
            self.ask(target, INSTANT, parallel=32, seconds=self.choices.seconds, stream=True)
            self.note_rss(target, "rss_start_mib")
        for number in range(self.choices.rounds):
            self.round(number + 1)
        if "workers" in self.choices.parts:
            self.workers()
        if "memory" in self.choices.parts:
            self.memory()
        self.count()
        return {name: round(median(values), 3) for name, values in self.figures.items()} | self.sums()

    def round(self, number: int) -> None:
        """Measure every target once, part by part, then drain as the worker does."""
        for part in (part for part in ROUND if part in self.choices.parts):
            measure = getattr(self, part)
            direct: dict[str, float] = {}
            for target in self.running:
                found = measure(target)
                self.note(target, found)
                if target.name == "direct":
                    direct = found
                elif direct:
                    both = ADDED.keys() & found.keys()
                    self.note(target, {ADDED[name]: found[name] - direct[name] for name in both})
                self.stack.steps.say(f"  {number}. {part:<8} {target.name:<11} {_shown(found)}")
        if "polyscribe" in self.choices.targets:
            self.drain()

    def rps(self, target: Target) -> dict[str, float]:
        """Requests a second, 32 in parallel, and for each processor second of the gateway."""
        found, cpu_s = self.timed(target, INSTANT, parallel=32)
        return {"rps_c32": found.per_s, **_per_cpu("rps_per_cpu_s_c32", found, cpu_s)}

    def latency(self, target: Target) -> dict[str, float]:
        """One client, one request after the other."""
        found, _ = self.timed(target, INSTANT, parallel=1)
        return {"p50_ms_c1": found.p50_ms, "p99_ms_c1": found.p99_ms}

    def streams(self, target: Target) -> dict[str, float]:
        """Streams a second, 32 in parallel, each token sent by itself."""
        found, cpu_s = self.timed(target, INSTANT, parallel=32, stream=True)
        return {"streams_per_s_c32": found.per_s, **_per_cpu("streams_per_cpu_s_c32", found, cpu_s)}

    def burst(self, target: Target) -> dict[str, float]:
        """Streams a second, 32 in parallel, when the stub sends all tokens of a stream at once."""
        found, _ = self.timed(target, BURST, parallel=32, stream=True)
        return {"burst_streams_per_s_c32": found.per_s}

    def ttfc(self, target: Target) -> dict[str, float]:
        """Time to the first chunk while 64 streams of a token every 5 ms are open."""
        found, _ = self.timed(target, PACED, parallel=64, stream=True)
        return {"ttfc_p50_ms_c64": found.first_p50_ms, "ttfc_p99_ms_c64": found.first_p99_ms}

    def memory(self) -> None:
        """Resident memory after many requests, and while many streams are held open."""
        for target in self.running:
            if target.pid is None:
                continue
            if target.name == "polyscribe":
                left = max(0, self.choices.requests - self.answered["polyscribe"])
                self.ask(target, INSTANT, parallel=32, seconds=600, most=left)
                self.note(target, {"requests_before_rss": float(self.answered["polyscribe"])})
            self.note_rss(target, "rss_after_mib")
            with self.holding(target) as held:
                time.sleep(HELD_S)
                self.note(target, {"held_streams": float(held)})
                self.note_rss(target, "rss_held_mib")
            time.sleep(1)
            self.note_rss(target, "rss_released_mib")
            names = ("rss_start_mib", "rss_after_mib", "rss_held_mib")
            most = max(self.figures[f"{target.name}_{name}"][-1] for name in names)
            self.note(target, {"rss_mib": most})
            self.stack.steps.say(f"  memory      {target.name:<11} {most} MiB at most, {held} streams held")

    def workers(self) -> None:
        """One worker on one core against two workers on two, interleaved, 64 in parallel."""
        if len(self.starter.cores.all) < 2:
            return
        for one in self.running:
            if one.name != "direct":
                self.compare_workers(one, self.starter.start(one.name, self.key, workers=2))

    def compare_workers(self, one: Target, two: Target) -> None:
        """Measure a gateway with one and with two workers, in turn."""
        for _ in range(self.choices.rounds):
            for count, target in ((1, one), (2, two)):
                found, cpu_s = self.timed(target, INSTANT, parallel=64)
                figures = {f"workers_{count}_rps_c64": found.per_s}
                figures |= _per_cpu(f"workers_{count}_per_cpu_s_c64", found, cpu_s)
                self.note(one, figures)
                self.stack.steps.say(f"  workers     {one.name:<11} {count}  {_shown(figures)}")

    def count(self) -> None:
        """Compare the ledger with what was answered, after the last drain."""
        if "polyscribe" not in self.choices.targets:
            return
        self.drain()
        last = self.counted[-1]
        seconds = sum(one["drain_s"] for one in self.counted)
        self.note(
            Target("polyscribe", ""),
            {
                "answered": float(self.answered["polyscribe"]),
                "usage_events": last["events"],
                "lost_or_doubled_events": abs(last["events"] - self.answered["polyscribe"]),
                "held_tokens_left": last["held_tokens"],
                "drained_events_per_s": sum(one["drained"] for one in self.counted) / seconds,
            },
        )

    def sums(self) -> dict[str, float]:
        """Return the figures that follow from others."""
        found = {f"{name}_failed": float(count) for name, count in self.failed.items()}
        middle = {name: median(values) for name, values in self.figures.items()}
        if middle.get("litellm_rps_c32") and middle.get("polyscribe_rps_c32"):
            found["polyscribe_times_litellm"] = middle["polyscribe_rps_c32"] / middle["litellm_rps_c32"]
        for target in self.running:
            one = f"{target.name}_workers_1"
            two = f"{target.name}_workers_2"
            if middle.get(f"{one}_per_cpu_s_c64") and middle.get(f"{two}_per_cpu_s_c64"):
                found[f"{target.name}_scaling_rps"] = middle[f"{two}_rps_c64"] / middle[f"{one}_rps_c64"]
                found[f"{target.name}_scaling_cpu"] = (
                    2 * middle[f"{two}_per_cpu_s_c64"] / middle[f"{one}_per_cpu_s_c64"]
                )
        if "polyscribe_rss_after_mib" in middle:
            after = middle["polyscribe_rss_after_mib"]
            start = middle["polyscribe_rss_start_mib"]
            found["polyscribe_rss_growth_mib"] = after - start
        return {name: round(value, 3) for name, value in found.items()}

    def timed(
        self, target: Target, pace: str, *, parallel: int, stream: bool = False
    ) -> tuple[Report, float]:
        """Return one measurement after a warm-up, and the processor seconds that the gateway took for it."""
        spread_s = pace_s(pace) * TOKENS
        ask = partial(self.ask, target, pace, parallel=parallel, stream=stream)
        ask(seconds=max(self.choices.seconds / 5, spread_s))
        before = machine.cpu_s(target.pid) if target.pid else 0.0
        found = ask(seconds=self.choices.seconds + spread_s)
        return found, (machine.cpu_s(target.pid) - before if target.pid else 0.0)

    def ask(
        self,
        target: Target,
        pace: str,
        *,
        parallel: int,
        seconds: float,
        most: int = sys.maxsize,
        stream: bool = False,
    ) -> Report:
        """Put load on a target. Raises StackError when an answer of Polyscribe or of the stub was wrong."""
        options = {"stream": True, "spread": pace_s(pace) * TOKENS} if stream else {}
        found = load.run(self.load_command(target, pace, parallel, seconds=seconds, requests=most, **options))
        self.answered[target.name] += found.answered
        self.failed[target.name] += found.failed
        if found.failed and target.name in ("direct", "polyscribe"):
            raise StackError(f"{target.name} failed {found.failed} times: {found.failure}")
        return found

    @contextmanager
    def holding(self, target: Target) -> Iterator[int]:
        """Yield how many streams have begun and are held open."""
        command = self.load_command(target, HELD, self.choices.held, hold=True)
        held = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert held.stdin is not None
        assert held.stdout is not None
        try:
            begun = int(held.stdout.readline() or 0)
            self.answered[target.name] += begun  # each of them is metered when it hangs up
            yield begun
        finally:
            held.stdin.close()
            held.wait(timeout=30)

    def load_command(self, target: Target, pace: str, parallel: int, **options: object) -> list[str]:
        """Return the command that puts load on a target."""
        return load.command_of(
            target.url, target.key, target.model(pace), parallel=parallel, path=target.path, **options
        )

    def drain(self) -> None:
        """Let the site's own code move usage events into the ledger, and keep what it counts."""
        counted = run_in_site("usage.drain_measured", self.stack.variables)
        self.counted.append(counted)
        self.stack.steps.say(f"  drained     {_shown(counted)}")

    def note(self, target: Target, found: dict[str, float]) -> None:
        for name, value in found.items():
            self.figures[f"{target.name}_{name}"].append(value)

    def note_rss(self, target: Target, name: str) -> None:
        if target.pid is not None:
            self.note(target, {name: machine.rss_mib(target.pid)})


def _per_cpu(name: str, found: Report, cpu_s: float) -> dict[str, float]:
    return {name: round(found.answered / cpu_s, 1)} if cpu_s else {}


def _shown(found: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:,.10g}" for name, value in found.items())


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
    print("\n" + gateway_report.text(figures))
    if choices.is_whole:
        gateway_report.write(figures, cpu=machine.model(), versions=targets.versions())
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
