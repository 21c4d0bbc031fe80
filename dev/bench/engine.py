"""`make bench NAME=engine`: the real engine, measured by vLLM's own `vllm bench serve`.

`ENGINE_SOCKET= python -m stack run --all -- python -m bench.engine [gateway] [styles]`. The ways are measured
in turn, so that a machine that drifts does so for all. `gateway` sends the same prompts in mixed styles
through the gateway and directly; `styles` asks two engines. Both write a table into docs/performance.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

from adapters.engines.capacity import EngineLimits
from bench.memory import load_adapters, random_adapters, running
from labs import machine, report
from labs.site import run_in_site
from stack import engine
from stack.environment import base_model, base_model_folder

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


@dataclass(frozen=True)
class Size:
    """How much one pass asks."""

    prompt_tokens: int
    tokens: int  # of an answer
    requests: int
    at_once: int


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

    def measure(self, url: str, models: list[str], size: Size, *, key: str = "-") -> dict[str, float]:
        """Return what vLLM says of one pass, whose requests name the models in turn.

        Raises SystemExit where a request failed.
        """
        options = {
            "backend": "openai-chat",
            "endpoint": "/v1/chat/completions",
            "base-url": url,
            "model": models[0],
            "tokenizer": str(base_model_folder()),
            "lora-assignment": "round-robin",
            "temperature": "0",
            "dataset-name": "random",
            "random-input-len": str(size.prompt_tokens),
            "random-output-len": str(size.tokens),
            "num-prompts": str(size.requests),
            "max-concurrency": str(size.at_once),
            "seed": str(int.from_bytes(os.urandom(4)) >> 1),  # no prompt that the prefix cache knows
            "percentile-metrics": "ttft",
            "result-dir": str(self._results),
            "result-filename": "found.json",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        words += ["--ignore-eos", "--save-result", "--disable-tqdm", "--lora-modules", *models]
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"key": key, "words": words}), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line == "PASSED\n":
                break
        else:
            raise SystemExit(f"✗ {url}: {(self._results / 'errors').read_text().strip()[-600:]}")
        found: dict[str, float] = json.loads((self._results / "found.json").read_text())
        if found["completed"] != size.requests:
            raise SystemExit(f"✗ {url}: {found['completed']} of {size.requests} requests were answered.")
        return found


# `bench engine styles`: what styles cost an engine, beside vLLM with its own LoRA wrapper
# (`ENGINE_LORA=vllm`). Both run side by side and are asked in turn. Writes bench/results/engine.json, too.

RANK = 8
STYLES = 8
TOKENS = 32
PROMPTS = (30, 280, 1000)
WHO = ("base", "one style", "eight styles")
LIMITS = EngineLimits(max_loras=STYLES, max_cpu_loras=64, max_lora_rank=16)
type Figures = dict[str, float]


@dataclass(frozen=True)
class Case:
    """What is asked: prompts of so many tokens, by so many clients at once, of the base or of styles."""

    prompt_tokens: int
    clients: int
    who: str

    @property
    def requests(self) -> int:
        """Three in a row by one client; three of each by eight."""
        return 3 * self.clients

    @property
    def styles(self) -> int:
        """How many styles are asked in turn; 0: the base."""
        return {"base": 0, "one style": 1, "eight styles": STYLES}[self.who]

    def models(self) -> list[str]:
        """Return vLLM's names of what is asked in turn."""
        return [f"bench_{number}" for number in range(self.styles)] or [base_model()[1]]

    def size(self) -> Size:
        """Return how much is asked."""
        return Size(self.prompt_tokens, TOKENS, self.requests, self.clients)


CASES = [
    Case(prompt, clients, who)
    for prompt, clients, who in product(PROMPTS, (1, 8), WHO)
    if clients > 1 or who != "eight styles"
]

WARMING = Case(PROMPTS[0], STYLES, "eight styles")


def shorten(found: Mapping[str, float]) -> Figures:
    """Return what the table has of a pass."""
    return {
        "tokens_s": round(found["output_throughput"], 1),
        "first_token_p50_ms": round(found["median_ttft_ms"]),
        "first_token_p99_ms": round(found["p99_ttft_ms"]),
    }


@contextmanager
def engines(adapters: Path, scratch: Path) -> Iterator[Mapping[str, Callable[[Case], Figures]]]:
    """Yield each engine's name and what measures it, with the adapters loaded."""
    paths = sorted(adapters.iterdir())
    asked = BenchServe(scratch)
    with ExitStack() as stack:
        ways: dict[str, Callable[[Case], Figures]] = {}
        for name in ("ours", "vllm"):
            variables = {"ENGINE_LORA": name, "ENGINE_MAX_NUM_SEQS": "16", "ENGINE_API_KEY": ""}
            url, _ = stack.enter_context(running(LIMITS, **variables))
            with engine.open_client(url, timeout_s=180) as client:
                load_adapters(client, paths)
            machine.await_idle_engine(url)
            ways[name] = partial(_measure_vllm, asked, url)
        yield ways


def _measure_vllm(asked: BenchServe, url: str, case: Case) -> Figures:
    return shorten(asked.measure(url, case.models(), case.size()))


def compare_styles() -> None:
    """Measure every case in turn, and write what was found."""
    rounds = int(os.environ.get("BENCH_ROUNDS") or 3)
    with tempfile.TemporaryDirectory(prefix="bench-styles-") as name:
        adapters = Path(name) / "adapters"
        random_adapters(adapters, count=STYLES, rank=RANK)
        found: dict[str, dict[Case, list[Figures]]] = {}
        with engines(adapters, Path(name)) as ways:
            for measure in ways.values():
                measure(WARMING)
            for case in CASES:
                for number in range(rounds):
                    for way in sorted(ways, reverse=bool(number % 2)):
                        figures = ways[way](case)
                        found.setdefault(way, {}).setdefault(case, []).append(figures)
                        line = f"  {case.prompt_tokens:>5} {case.clients} {case.who:<13} {way:<9} {figures}"
                        print(line, flush=True)
    medians: dict[str, dict[Case, Figures]] = {way: {} for way in found}
    for way, cases in found.items():
        for case, passes in cases.items():
            medians[way][case] = {name: median(one[name] for one in passes) for name in passes[0]}
    write_styles(medians, rounds)


def write_styles(found: Mapping[str, Mapping[Case, Figures]], rounds: int) -> None:
    """Write the figures, and the table of tokens and first tokens."""
    about = {"machine": machine.model(), "base_model": base_model()[1], "dtype": os.environ["ENGINE_DTYPE"]}
    about |= {"rank": str(RANK), "slots": str(STYLES), "rounds": str(rounds)}
    cases = [asdict(case) | {way: found[way][case] for way in found} for case in CASES]
    (report.RESULTS / "engine.json").write_text(json.dumps({"about": about, "cases": cases}, indent=1) + "\n")
    named = {"ours": "ours", "vllm": "vLLM's own"}
    rows = [["prompt", "clients", "asked", *(f"{title}: tokens/s" for title in named.values())]]
    rows[0] += [f"{title}: first token" for title in named.values()]
    for case in CASES:
        tokens = [report.shown(found[way][case]["tokens_s"]) for way in named]
        first = [report.shown(found[way][case]["first_token_p50_ms"]) for way in named]
        rows.append([str(case.prompt_tokens), str(case.clients), case.who, *tokens, *first])
    measured = "one round" if rounds == 1 else f"medians of {rounds} rounds"
    text = (
        f"{about['base_model']} in {about['dtype']} on {about['machine']}, rank {RANK} on all linear layers, "
        f"{STYLES} slots, {TOKENS} tokens an answer; {measured}, first tokens in ms."
        f"\n\n{report.aligned(rows)}"
    )
    print(text)
    report.between_marks("bench-multilora", text)


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
