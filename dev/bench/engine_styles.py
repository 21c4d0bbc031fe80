"""`bench engine styles`: what styles cost an engine, beside vLLM as it comes and PEFT.

Two engines run side by side and are asked in turn by `vllm bench serve`: ours, and the same vLLM with its own
LoRA wrapper (`ENGINE_LORA=vllm`). The last is a loop of transformers and PEFT (labs/engine/peft_loop.py),
which answers one request after the other. Writes bench/results/engine.json and its table in
docs/performance.md.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

from adapters.engines.capacity import EngineLimits
from bench import report
from bench.bench_serve import BenchServe, Size
from bench.memory import post_json, random_adapters, running
from labs import machine
from stack import engine
from stack.environment import base_model, base_model_folder
from stack.folders import ROOT

RANK = 8
STYLES = 8
TOKENS = 32
PROMPTS = (30, 280, 1000)
WHO = ("base", "one style", "eight styles")
LIMITS = EngineLimits(max_loras=STYLES, max_cpu_loras=64, max_lora_rank=16)
PEFT_LOOP = ROOT / "dev" / "labs" / "engine" / "peft_loop.py"
type Found = dict[str, float]


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


def shorten(found: Mapping[str, float]) -> Found:
    """Return what the table has of a pass."""
    return {
        "tokens_s": round(found["output_throughput"], 1),
        "first_token_p50_ms": round(found["median_ttft_ms"]),
        "first_token_p99_ms": round(found["p99_ttft_ms"]),
    }


@contextmanager
def engines(adapters: Path, scratch: Path) -> Iterator[Mapping[str, Callable[[Case], Found]]]:
    """Yield each engine's name and what measures it, with the adapters loaded."""
    paths = sorted(adapters.iterdir())
    asked = BenchServe(scratch)
    with ExitStack() as stack:
        ways: dict[str, Callable[[Case], Found]] = {}
        for name in ("ours", "vllm"):
            variables = {"ENGINE_LORA": name, "ENGINE_MAX_NUM_SEQS": "16", "ENGINE_API_KEY": ""}
            url, _ = stack.enter_context(running(LIMITS, **variables))
            for number, path in enumerate(paths):
                post_json(
                    f"{url}/v1/load_lora_adapter", {"lora_name": f"bench_{number}", "lora_path": str(path)}
                )
            machine.await_idle_engine(url)
            ways[name] = partial(_measure_vllm, asked, url)
        yield ways


def _measure_vllm(asked: BenchServe, url: str, case: Case) -> Found:
    return shorten(asked.measure(url, case.models(), case.size()))


def measure_peft(adapters: Path) -> dict[Case, Found]:
    """Return what a loop of PEFT writes: one request after the other, so clients make no difference."""
    question = {
        "base": str(base_model_folder()),
        "dtype": os.environ["ENGINE_DTYPE"],
        "adapters": [str(path) for path in sorted(adapters.iterdir())],
        "prompts": PROMPTS,
        "tokens": TOKENS,
    }
    done = subprocess.run(
        [str(engine.PYTHON), str(PEFT_LOOP)], input=json.dumps(question), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"✗ PEFT: {done.stderr.strip()[-600:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {case: found[case.who][str(case.prompt_tokens)] for case in CASES}


def compare_styles() -> None:
    """Measure every case in turn, and write what was found."""
    rounds = int(os.environ.get("BENCH_ROUNDS") or 3)
    with tempfile.TemporaryDirectory(prefix="bench-styles-") as name:
        adapters = Path(name) / "adapters"
        random_adapters(adapters, count=STYLES, rank=RANK)
        found: dict[str, dict[Case, list[Found]]] = {"peft": {}}
        for case, figures in measure_peft(adapters).items():
            found["peft"][case] = [figures]
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
    medians = {way: {case: _median(ones) for case, ones in cases.items()} for way, cases in found.items()}
    write(medians, rounds)


def _median(passes: list[Found]) -> Found:
    return {name: median(one[name] for one in passes) for name in passes[0]}


def _describe(rounds: int) -> str:
    return "one round" if rounds == 1 else f"medians of {rounds} rounds"


def write(found: Mapping[str, Mapping[Case, Found]], rounds: int) -> None:
    """Write the figures, and the table of tokens and first tokens."""
    about = {"machine": machine.model(), "base_model": base_model()[1], "dtype": os.environ["ENGINE_DTYPE"]}
    about |= {"rank": str(RANK), "slots": str(STYLES), "rounds": str(rounds)}
    cases = [asdict(case) | {way: found[way][case] for way in found} for case in CASES]
    (report.RESULTS / "engine.json").write_text(json.dumps({"about": about, "cases": cases}, indent=1) + "\n")
    named = {"ours": "ours", "vllm": "vLLM's own", "peft": "PEFT"}
    ways = [way for way in named if way in found]
    rows = [["prompt", "clients", "asked", *(f"{named[way]}: tokens/s" for way in ways)]]
    rows[0] += [f"{named[way]}: first token" for way in ways[:-1]]
    for case in CASES:
        tokens = [report.shown(found[way][case]["tokens_s"]) for way in ways]
        first = [report.shown(found[way][case]["first_token_p50_ms"]) for way in ways[:-1]]
        rows.append([str(case.prompt_tokens), str(case.clients), case.who, *tokens, *first])
    text = (
        f"{about['base_model']} in {about['dtype']} on {about['machine']}, rank {RANK} on all linear layers, "
        f"{STYLES} slots, {TOKENS} tokens an answer; {_describe(rounds)}, first tokens in ms."
        f"\n\n{report.aligned(rows)}"
    )
    print(text)
    report.between_marks("bench-multilora", text)
