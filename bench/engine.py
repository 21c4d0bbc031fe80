"""`make bench-engine`: the real engine, measured by vLLM's own `vllm bench serve`.

`ENGINE_SOCKET= python -m stack run --all -- python -m bench.engine [gateway] [styles]`. The ways are measured
in turn, so that a machine that drifts does so for all. `gateway` sends the same prompts in mixed styles
through the gateway and directly; `styles` is engine_styles.py. Both write a table into docs/performance.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import report
from bench.engine_styles import compare_styles
from bench.targets import module
from stack import engine

AT_ONCE = 8
GOAL = 0.97
# `vllm bench serve`: the `vllm` command itself fails in the CPU package.
BENCH_SERVE = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""

type Found = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Way:
    """One way to the engine: its address and key, and the names of what is asked there in turn."""

    name: str
    url: str
    key: str
    models: list[str]


def measure_way(way: Way, *, requests: int, tokens: int) -> dict[str, float]:
    """Return what vLLM's bench says of one pass. Raises SystemExit if a request failed."""
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        options = {
            "backend": "openai-chat",
            "endpoint": "/v1/chat/completions",
            "base-url": way.url,
            "model": way.models[0],
            "tokenizer": os.environ["BASE_MODEL_DIR"],
            "lora-assignment": "round-robin",
            "temperature": "0",
            "dataset-name": "random",
            "random-input-len": "24",
            "random-output-len": str(tokens),
            "num-prompts": str(requests),
            "max-concurrency": str(AT_ONCE),
            "result-dir": folder,
            "result-filename": "found.json",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        words += ["--ignore-eos", "--save-result", "--disable-tqdm", "--lora-modules", *way.models]
        done = subprocess.run(
            [str(engine.PYTHON), "-c", BENCH_SERVE, *words],
            env={**os.environ, "OPENAI_API_KEY": way.key, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"✗ {way.name}: {(done.stderr or done.stdout).strip()[-600:]}")
        found: dict[str, float] = json.loads((Path(folder) / "found.json").read_text())
    if found["completed"] != requests:
        raise SystemExit(f"✗ {way.name}: {found['completed']} of {requests} requests were answered.")
    return found


def measure_in_turn(ways: list[Way], *, requests: int, tokens: int) -> Found:
    """Return each way's passes, after one of each that warms."""
    for way in ways:
        measure_way(way, requests=requests, tokens=tokens)
    passes: Found = {way.name: [] for way in ways}
    for number in range(int(os.environ.get("BENCH_ROUNDS") or 3)):
        for way in ways if number % 2 == 0 else reversed(ways):
            passes[way.name].append(measure_way(way, requests=requests, tokens=tokens))
            rate = passes[way.name][-1]["output_throughput"]
            print(f"  {number + 1}. {way.name:<8} {rate:7.1f} tokens/s", flush=True)
    return passes


def compare_gateway() -> None:
    """Measure what the gateway keeps of the direct rate; write it."""
    loaded: dict[str, str] = json.loads(module("bench.tenant", "styles", variables=os.environ))
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
        raise SystemExit("✗ vllm bench needs the engine's port: run this through `make bench-engine`.")
    for name in parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
