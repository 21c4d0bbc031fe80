"""`make bench NAME=memory`: the capacity arithmetic against the memory of a running vLLM. CPU engines only.

`python -m bench.memory`. Starts vLLM with small and large limits, loads adapters, reads resident memory, and
compares it with what `adapters.engines.capacity` says of the same limits. What Python, torch and vLLM take by
themselves is found once, with the smallest limits, and counted in every other case. Writes
bench/results/memory.json and the table in docs/capacity.md.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
from django.conf import settings

# Validation's messages ask Django for a language; alone, this bench needs no more of the site.
if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
    settings.configure()

from adapters.engines import capacity
from adapters.engines.capacity import EngineLimits, Layers
from adapters.validation import base_model_reader
from labs import machine, report
from stack import engine
from stack.environment import base_model, base_model_folder
from stack.folders import ROOT
from stack.ports import Ports
from trials.harness import make_adapters

MIB = 1024 * 1024
WITHIN = 0.15
ADAPTERS = 64
DOC = ROOT / "docs" / "capacity.md"
HEAD = ["MiB", "measured", "calculated", "added to the first", "calculated"]


@dataclass(frozen=True)
class Case:
    """One start of vLLM, and how many adapters of its highest rank are loaded then."""

    title: str
    limits: EngineLimits
    loaded: int

    def reckoned_mib(self, layers: Layers) -> float:
        """Return base, slots and cache by arithmetic."""
        ranks = {self.limits.max_lora_rank: self.loaded} if self.loaded else {}
        return capacity.estimate_memory(layers, self.limits, ranks).total_bytes / MIB


def slots(count: int, *, rank: int) -> EngineLimits:
    """Return the limits of an engine on a CPU."""
    return EngineLimits(count, ADAPTERS, rank, is_cpu=True)


CASES = (
    Case("one slot of rank 16", slots(1, rank=16), 0),
    Case("33 slots of rank 64", slots(33, rank=64), 0),
    Case("one slot of rank 16, 64 adapters", slots(1, rank=16), ADAPTERS),
    Case("8 slots of rank 64, 64 adapters", slots(8, rank=64), ADAPTERS),
)


def measured(case: Case, folder: Path) -> float:
    """Return the resident memory of vLLM and its children in MiB; random adapters are made once a rank."""
    made = folder / str(case.limits.max_lora_rank)
    if case.loaded and not made.exists():
        random_adapters(made, count=ADAPTERS, rank=case.limits.max_lora_rank)
    with running(case.limits) as (url, pid), engine.open_client(url, timeout_s=180) as client:
        load_adapters(client, sorted(made.iterdir()) if case.loaded else [])
        asked = {"model": base_model()[1], "prompt": "The sea", "max_tokens": 8}
        client.post("/v1/completions", json=asked).raise_for_status()
        return machine.rss_mib(pid)


@contextmanager
def running(limits: EngineLimits, **more: str) -> Iterator[tuple[str, int]]:
    """Yield the address and the process of a vLLM of its own; `more` are variables for it.

    Raises SystemExit.
    """
    port = Ports().take("engine")
    url = f"http://127.0.0.1:{port}"
    variables = {
        **os.environ,
        "ENGINE_DEVICE": "cpu",
        "ENGINE_PORT": str(port),
        "ENGINE_SOCKET": "",
        "ENGINE_MAX_LORAS": str(limits.max_loras),
        "ENGINE_MAX_CPU_LORAS": str(limits.max_cpu_loras),
        "ENGINE_MAX_LORA_RANK": str(limits.max_lora_rank),
        "BASE_MODEL": base_model()[1],
        "BASE_MODEL_DIR": str(base_model_folder()),
        **more,
    }
    with tempfile.TemporaryFile() as log:
        command = engine.program(variables).argv
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
        try:
            while not engine.ready(url, ""):
                if process.poll() is not None:
                    raise SystemExit(f"✗ vLLM ended while it started (exit {process.returncode}).")
                time.sleep(0.5)
            yield url, process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):  # now and then, vLLM 0.32 doesn't end
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def random_adapters(folder: Path, *, count: int, rank: int) -> list[Path]:
    """Return folders of random adapters on all linear layers. Raises ServiceFailed."""
    return make_adapters(str(base_model_folder()), folder, count=count, rank=rank, options=["--all-linear"])


def load_adapters(client: httpx2.Client, folders: Iterable[Path]) -> None:
    """Load adapters as `bench_0` and so on. Raises httpx2.HTTPError."""
    for number, folder in enumerate(folders):
        named = {"lora_name": f"bench_{number}", "lora_path": str(folder)}
        client.post("/v1/load_lora_adapter", json=named).raise_for_status()


def main() -> int:
    """Measure every case, print, write. Returns 1 when a case is off by more than WITHIN."""
    found = list[float]()
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        for case in CASES:
            found.append(measured(case, Path(folder)))
            print(f"  {case.title}: {found[-1]:,.0f} MiB", flush=True)
    return int(judged(found) > WITHIN)


def judged(found: list[float]) -> float:
    """Write what was found beside what is reckoned; return how far off the worst case is."""
    shape = base_model_reader.read_base_model(base_model_folder(), base_model()[1])
    layers = Layers.of(shape)
    reckoned = [case.reckoned_mib(layers) for case in CASES]
    own_mib = found[0] - reckoned[0]
    # What limits and adapters add is what is judged: what vLLM takes by itself would hide a wrong sum.
    added = [(found[i] - found[0], reckoned[i] - reckoned[0]) for i in range(1, len(CASES))]
    worst = max(abs(by_sum / real - 1) for real, by_sum in added)
    rows = [
        [case.title, *map(report.shown, (real, own_mib + by_sum, real - found[0], by_sum - reckoned[0]))]
        for case, real, by_sum in zip(CASES, found, reckoned, strict=True)
    ]
    text = (
        f"{machine.model()}; {shape.name}; Python, torch and vLLM by themselves: {own_mib:,.0f} MiB.\n\n"
        f"{report.aligned([HEAD, *rows])}\n\n"
        f"The calculated memory for limits and adapters is off by at most {worst:.1%} (goal: {WITHIN:.0%})."
    )
    report.between_marks("bench-memory", text, DOC)
    facts = {"own_mib": round(own_mib), "found_mib": found, "reckoned_mib": reckoned, "worst_off": worst}
    report.write_results("memory", facts)
    print(text)
    return worst


if __name__ == "__main__":
    sys.exit(main())
