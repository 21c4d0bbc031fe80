"""`make bench-multilora`: what many styles at once cost on whatever engine is there, against the base.

`python -m stack run --all -- python -m bench.multilora`. Asks vLLM itself, AT_ONCE requests in parallel,
streamed and greedy: the base, one style, 8 and 64 styles in turn; all cases in every round. Styles beyond the
engine's slots wait for one inside it. Writes bench/results/multilora-DEVICE.json and the table in
docs/performance.md.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import uvloop

from bench import report
from bench.memory import parsed, random_adapters
from labs import machine

AT_ONCE, REQUESTS, TOKENS, RANK = 8, 64, 16, 8
COUNTS = (1, 8, 64)
PROMPT = "Write a long text about {thing}, with many details."
THINGS = ("the sea", "an old clock", "a letter", "the market", "a bridge", "bread", "the first snow", "a cat")


@dataclass(frozen=True)
class Pass:
    """What one pass brought: tokens a second, and the times to the first token in seconds."""

    tokens_per_s: float
    first_s: list[float]


async def one_pass(http: aiohttp.ClientSession, models: list[str]) -> Pass:
    """Ask REQUESTS times, the models in turn, AT_ONCE in parallel."""
    jobs = iter([(models[n % len(models)], THINGS[n % len(THINGS)]) for n in range(REQUESTS)])
    first_s: list[float] = []
    began_s = time.perf_counter()
    tokens = await asyncio.gather(*(_worker(http, jobs, first_s) for _ in range(AT_ONCE)))
    return Pass(sum(tokens) / (time.perf_counter() - began_s), first_s)


async def _worker(http: aiohttp.ClientSession, jobs: Iterator[tuple[str, str]], first_s: list[float]) -> int:
    return sum([await ask(http, model, PROMPT.format(thing=thing), first_s) for model, thing in jobs])


async def ask(http: aiohttp.ClientSession, model: str, prompt: str, first_s: list[float]) -> int:
    """Return an answer's tokens; the time to its first one is appended. Raises SystemExit."""
    body = {
        "model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": TOKENS,
        "ignore_eos": True, "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    began_s, last, is_first = time.perf_counter(), b"", True
    async with http.post("/v1/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise SystemExit(f"✗ {model} answered {answer.status}: {await answer.text()}")
        async for line in answer.content:
            if is_first and b'"content":"' in line and b'"content":""' not in line:
                first_s.append(time.perf_counter() - began_s)
                is_first = False
            if b'"usage":{' in line:
                last = line
    return int(json.loads(last.removeprefix(b"data: "))["usage"]["completion_tokens"])


async def measured(rounds: int) -> dict[str, list[Pass]]:
    """Return each case's passes."""
    headers = {"authorization": f"Bearer {os.environ['ENGINE_API_KEY']}"}
    cases = {"base": [os.environ["BASE_MODEL"]]}
    cases |= {str(count): [f"bench_{n}" for n in range(count)] for count in COUNTS}
    passes: dict[str, list[Pass]] = {name: [] for name in cases}
    async with aiohttp.ClientSession(os.environ["ENGINE_URL"], headers=headers) as http:
        for models in cases.values():
            await one_pass(http, models)
        for number in range(rounds):
            for name, models in cases.items():
                passes[name].append(await one_pass(http, models))
                print(f"  {number + 1}. {name:>4}  {passes[name][-1].tokens_per_s:7.1f} tokens/s", flush=True)
    return passes


def load(folder: Path) -> None:
    """Give the engine the largest case's adapters."""
    random_adapters(folder, count=max(COUNTS), rank=RANK)
    url, key = f"{os.environ['ENGINE_URL']}/v1/load_lora_adapter", os.environ["ENGINE_API_KEY"]
    for number, path in enumerate(sorted(folder.iterdir())):
        parsed(url, {"lora_name": f"bench_{number}", "lora_path": str(path)}, key=key)


def figures(passes: dict[str, list[Pass]]) -> dict[str, dict[str, float]]:
    """Return each case's medians and how much slower it is than the base and than one style."""
    rate = {name: median(one.tokens_per_s for one in ones) for name, ones in passes.items()}
    return {
        name: {
            "tokens_per_s": rate[name],
            "first_token_p50_ms": median(s for one in ones for s in one.first_s) * 1000,
            "tax_against_base": 1 - rate[name] / rate["base"],
            "tax_against_one": 1 - rate[name] / rate["1"],
        }
        for name, ones in passes.items()
    }


def text_of(found: dict[str, dict[str, float]], rounds: int) -> str:
    """Return the machine and the table."""
    head = [
        "styles at once",
        "tokens/s",
        "first token, p50 (ms)",
        "tax against the base",
        "tax against one style",
    ]
    rows = [
        [name, report.shown(case["tokens_per_s"]), report.shown(case["first_token_p50_ms"]),
         *("-" if tax < 0 else f"{tax:.0%}" for tax in (case["tax_against_base"], case["tax_against_one"]))]
        for name, case in found.items()
    ]  # fmt: skip
    model, device, slots = (os.environ[name] for name in ("BASE_MODEL", "ENGINE_DEVICE", "ENGINE_MAX_LORAS"))
    return (
        f"{model} on {device} ({machine.model()}), rank {RANK} on all linear layers, {slots} slots, "
        f"{AT_ONCE} requests at once of {TOKENS} tokens; medians of {rounds} rounds.\n\n"
        f"{report.aligned([head, *rows])}"
    )


def main() -> int:
    """Load, measure, print, write."""
    if missing := {"ENGINE_URL", "ENGINE_API_KEY"} - os.environ.keys():
        raise SystemExit(f"✗ {', '.join(sorted(missing))} not set: run this through `make bench-multilora`.")
    rounds = int(os.environ.get("BENCH_ROUNDS") or 3)
    with tempfile.TemporaryDirectory(prefix="bench-multilora-") as folder:  # vLLM may read the files again
        machine.await_idle_engine(os.environ["ENGINE_URL"])
        load(Path(folder))
        found = figures(uvloop.run(measured(rounds)))
    text = text_of(found, rounds)
    print(text)
    report.between_marks("bench-multilora", text)
    file = report.RESULTS / f"multilora-{os.environ['ENGINE_DEVICE']}.json"
    file.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
