"""`make bench NAME=engine`: the real engine, measured by vLLM's own `vllm bench serve`.

`ENGINE_SOCKET= python -m stack run --all -- python -m bench.engine [gateway] [styles]`. The ways are measured
in turn, so that a machine that drifts does so for all. `gateway` sends the same prompts in mixed styles
through the gateway and directly; `styles` is engine_styles.py. Both write a table into docs/performance.md.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import report
from bench.bench_serve import BenchServe, Size
from bench.engine_styles import compare_styles
from labs.site import run_in_site

AT_ONCE = 8
PROMPT_TOKENS = 24
GOAL = 0.97
type Found = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Way:
    """One way to the engine: its address and key, and the names of what is asked there in turn."""

    name: str
    url: str
    key: str
    models: list[str]


def measure_in_turn(ways: list[Way], *, requests: int, tokens: int) -> Found:
    """Return each way's passes, after one of each that warms."""
    passes: Found = {way.name: [] for way in ways}
    size = Size(PROMPT_TOKENS, tokens, requests, AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        asked = BenchServe(Path(folder))
        for way in ways:
            asked.measure(way.url, way.models, size, key=way.key)
        for number in range(int(os.environ.get("BENCH_ROUNDS") or 3)):
            for way in ways if number % 2 == 0 else reversed(ways):
                passes[way.name].append(asked.measure(way.url, way.models, size, key=way.key))
                rate = passes[way.name][-1]["output_throughput"]
                print(f"  {number + 1}. {way.name:<8} {rate:7.1f} tokens/s", flush=True)
    return passes


def compare_gateway() -> None:
    """Measure what the gateway keeps of the direct rate; write it."""
    loaded: dict[str, str] = run_in_site("styles.engine_names")
    api_key = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())["api_key"]
    ways = [
        Way("direct", os.environ["ENGINE_URL"], os.environ["ENGINE_API_KEY"], list(loaded.values())),
        Way("gateway", os.environ["SITE_URL"], api_key, list(loaded)),
    ]
    passes = measure_in_turn(ways, requests=32, tokens=48)
    rates = {name: [one["output_throughput"] for one in ones] for name, ones in passes.items()}
    shares = [through / direct for through, direct in zip(rates["gateway"], rates["direct"], strict=True)]
    share = median(shares)
    rows = [
        ["", "direct", "gateway"],
        ["tokens/s", *(report.shown(median(rates[way.name])) for way in ways)],
        ["tokens in a pass", *(report.shown(passes[way.name][-1]["total_output_tokens"]) for way in ways)],
    ]
    spread = f"{min(shares):.3f} to {max(shares):.3f}"
    kept = f"The gateway keeps {share:.3f} of the direct rate (rounds: {spread})"
    judged = f"goal: ≥ {GOAL}, {report.verdict(share >= GOAL)}"
    write("bench-engine", f"{report.aligned(rows)}\n\n{kept}; {judged}.")


def write(mark: str, text: str) -> None:
    """Print a part's table; write it unless another kind of engine was measured."""
    print(text)
    if os.environ["ENGINE_KIND"] == "vllm":
        report.between_marks(mark, text)


PARTS: dict[str, Callable[[], None]] = {"gateway": compare_gateway, "styles": compare_styles}


def main(parts: Collection[str]) -> None:
    """Measure the parts that are named, or all."""
    if not os.environ.get("ENGINE_URL", "").startswith("http://"):
        raise SystemExit("✗ vllm bench needs the engine's port: run this through `make bench NAME=engine`.")
    for name in parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
