"""`make bench NAME=engine`: the real engine, measured by vLLM's own `vllm bench serve`.

`ENGINE_SOCKET= python -m stack run --all -- python -m bench.engine` sends the same prompts in mixed styles
through the gateway and directly, in turn, so that a machine that drifts does so for both. Writes a table into
docs/performance.md.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from labs import report
from labs.site import run_in_site
from stack import engine
from stack.environment import base_model_folder

# vLLM's own `vllm bench serve`: what measures an engine, or the gateway in front of it.

# One process for all passes: vLLM's imports take longer than most of them. The `vllm` command itself fails in
# the CPU package.
PROGRAM = """
import json, os, sys
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["OPENAI_API_KEY"] = asked["key"]
    main(parser.parse_args(asked["words"]))
    print("PASSED", flush=True)
"""


PROMPT_TOKENS = 24
TOKENS = 48  # of an answer
REQUESTS = 32  # of a pass
AT_ONCE = 8
GOAL = 0.97


@dataclass(frozen=True)
class Way:
    """One way to the engine: its address and key, and the names of what is asked there in turn."""

    name: str
    url: str
    key: str
    models: list[str]


class BenchServe:
    """A process that runs `vllm bench serve` for each pass. `folder` gets its results and its errors."""

    def __init__(self, folder: Path) -> None:
        self._results = folder
        self._process = subprocess.Popen(
            [str(engine.PYTHON), "-c", PROGRAM],
            env={**os.environ, "OPENAI_API_KEY": "-", "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "errors").open("w"),
            text=True,
        )

    def measure(self, way: Way) -> dict[str, float]:
        """Return what vLLM says of one pass, whose requests name the models in turn.

        Raises SystemExit where a request failed.
        """
        options = {
            "backend": "openai-chat",
            "endpoint": "/v1/chat/completions",
            "base-url": way.url,
            "model": way.models[0],
            "tokenizer": str(base_model_folder()),
            "lora-assignment": "round-robin",
            "temperature": "0",
            "dataset-name": "random",
            "random-input-len": str(PROMPT_TOKENS),
            "random-output-len": str(TOKENS),
            "num-prompts": str(REQUESTS),
            "max-concurrency": str(AT_ONCE),
            "seed": str(int.from_bytes(os.urandom(4)) >> 1),  # no prompt that the prefix cache knows
            "percentile-metrics": "ttft",
            "result-dir": str(self._results),
            "result-filename": "found.json",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        words += ["--ignore-eos", "--save-result", "--disable-tqdm", "--lora-modules", *way.models]
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"key": way.key, "words": words}), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line == "PASSED\n":
                break
        else:
            raise SystemExit(f"✗ {way.url}: {(self._results / 'errors').read_text().strip()[-600:]}")
        found: dict[str, float] = json.loads((self._results / "found.json").read_text())
        if found["completed"] != REQUESTS:
            raise SystemExit(f"✗ {way.url}: {found['completed']} of {REQUESTS} requests were answered.")
        return found


def measure_in_turn(ways: list[Way]) -> dict[str, list[dict[str, float]]]:
    """Return each way's passes, after one of each that warms."""
    passes: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        asked = BenchServe(Path(folder))
        for way in ways:
            asked.measure(way)
        for number in range(int(os.environ.get("BENCH_ROUNDS") or 3)):
            for way in ways if number % 2 == 0 else reversed(ways):
                passes[way.name].append(asked.measure(way))
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
    passes = measure_in_turn(ways)
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
    text = f"{report.aligned(rows)}\n\n{kept}; {judged}."
    print(text)
    if os.environ["ENGINE_KIND"] == "vllm":
        report.between_marks("bench-engine", text)


if __name__ == "__main__":
    if not os.environ.get("ENGINE_URL", "").startswith("http://"):
        raise SystemExit("✗ vllm bench needs the engine's port: run this through `make bench NAME=engine`.")
    compare_gateway()
