"""`make bench-engine ARGS=styles`: what styles cost an engine, beside vLLM as it comes and beside PEFT.

Two engines run side by side and are asked in turn: ours, and the same vLLM with its own LoRA wrapper
(`ENGINE_LORA=vllm`). All is asked by vLLM's own `vllm bench serve`. The third is a loop of transformers and
PEFT (engine/peft_loop.py), which answers one request after the other. Writes bench/results/engine.json and
its table in docs/performance.md.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median

from adapters.engines.capacity import EngineLimits
from bench import report
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
PEFT_LOOP = ROOT / "engine" / "peft_loop.py"
# One process for all passes: vLLM's imports take longer than most of them.
BENCH_SERVE = """
import json, sys
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
for line in sys.stdin:
    main(parser.parse_args(json.loads(line)))
    print("PASSED", flush=True)
"""

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

    def models(self) -> list[str]:
        """Return the engine's names of what is asked in turn."""
        count = {"base": 0, "one style": 1, "eight styles": STYLES}[self.who]
        return [f"bench_{number}" for number in range(count)] or [base_model()[1]]


CASES = [
    Case(prompt, clients, who)
    for prompt, clients, who in product(PROMPTS, (1, 8), WHO)
    if clients > 1 or who != "eight styles"
]

WARMING = Case(PROMPTS[0], STYLES, "eight styles")


class BenchServe:
    """A process that runs `vllm bench serve` for each line that it gets."""

    def __init__(self, folder: Path) -> None:
        self._results = folder
        environment = {**os.environ, "OPENAI_API_KEY": "-", "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
        self._process = subprocess.Popen(
            [str(engine.PYTHON), "-c", BENCH_SERVE],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "errors").open("w"),
            text=True,
        )

    def measure(self, url: str, case: Case) -> Found:
        """Return what one pass found. Raises SystemExit where a request failed."""
        options = {
            "backend": "openai-chat",
            "endpoint": "/v1/chat/completions",
            "base-url": url,
            "model": case.models()[0],
            "tokenizer": str(base_model_folder()),
            "lora-assignment": "round-robin",
            "temperature": "0",
            "dataset-name": "random",
            "random-input-len": str(case.prompt_tokens),
            "random-output-len": str(TOKENS),
            "num-prompts": str(case.requests),
            "max-concurrency": str(case.clients),
            "seed": str(int.from_bytes(os.urandom(4)) >> 1),  # no prompt that the prefix cache knows
            "percentile-metrics": "ttft",
            "result-dir": str(self._results),
            "result-filename": "found.json",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        words += ["--ignore-eos", "--save-result", "--disable-tqdm", "--lora-modules", *case.models()]
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(words), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line == "PASSED\n":
                break
        else:
            raise SystemExit(f"✗ {case}: {(self._results / 'errors').read_text().strip()[-600:]}")
        found = json.loads((self._results / "found.json").read_text())
        if found["completed"] != case.requests:
            raise SystemExit(f"✗ {case}: {found['completed']} of {case.requests} requests were answered.")
        return {
            "tokens_s": round(found["output_throughput"], 1),
            "first_token_p50_ms": round(found["median_ttft_ms"]),
            "first_token_p99_ms": round(found["p99_ttft_ms"]),
        }


@contextmanager
def engines(adapters: Path) -> Iterator[Mapping[str, str]]:
    """Yield the addresses of the two engines, with the adapters loaded."""
    with ExitStack() as stack:
        urls = {}
        for name in ("ours", "vllm"):
            variables = {"ENGINE_LORA": name, "ENGINE_MAX_NUM_SEQS": "16", "ENGINE_API_KEY": ""}
            urls[name], _ = stack.enter_context(running(LIMITS, **variables))
            for number, path in enumerate(sorted(adapters.iterdir())):
                body = {"lora_name": f"bench_{number}", "lora_path": str(path)}
                post_json(f"{urls[name]}/v1/load_lora_adapter", body)
            machine.await_idle_engine(urls[name])
        yield urls


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
        with engines(adapters) as urls:
            asked = BenchServe(Path(name))
            for url in urls.values():
                asked.measure(url, WARMING)
            for case in CASES:
                for number in range(rounds):
                    for way in sorted(urls, reverse=bool(number % 2)):
                        figures = asked.measure(urls[way], case)
                        found.setdefault(way, {}).setdefault(case, []).append(figures)
                        print(
                            f"  {case.prompt_tokens:>5} {case.clients} {case.who:<13} {way:<5} {figures}",
                            flush=True,
                        )
    write(
        {way: {case: _median(ones) for case, ones in cases.items()} for way, cases in found.items()}, rounds
    )


def _median(passes: list[Found]) -> Found:
    return {name: median(one[name] for one in passes) for name in passes[0]}


def write(found: Mapping[str, Mapping[Case, Found]], rounds: int) -> None:
    """Write the figures, and the table of tokens and first tokens."""
    about = {"machine": machine.model(), "base_model": base_model()[1], "dtype": os.environ["ENGINE_DTYPE"]}
    about |= {"rank": str(RANK), "slots": str(STYLES), "rounds": str(rounds)}
    cases = [asdict(case) | {way: found[way][case] for way in found} for case in CASES]
    (report.RESULTS / "engine.json").write_text(json.dumps({"about": about, "cases": cases}, indent=1) + "\n")
    rows = [
        ["prompt", "clients", "asked", "tokens/s", "vLLM's own", "PEFT", "first token (ms)", "vLLM's own"]
    ]
    for case in CASES:
        ours, vllm, peft = (found[way][case] for way in ("ours", "vllm", "peft"))
        first = [report.shown(one["first_token_p50_ms"]) for one in (ours, vllm)]
        tokens = [report.shown(one["tokens_s"]) for one in (ours, vllm, peft)]
        rows.append([str(case.prompt_tokens), str(case.clients), case.who, *tokens, *first])
    text = (
        f"{about['base_model']} in {about['dtype']} on {about['machine']}, rank {RANK} on all linear layers, "
        f"{STYLES} slots, {TOKENS} tokens an answer; medians of {rounds} rounds.\n\n{report.aligned(rows)}"
    )
    print(text)
    report.between_marks("bench-multilora", text)
