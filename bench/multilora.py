"""`make bench-multilora`: what many styles at once cost on whatever engine is there, against the base.

`python -m stack run --all -- python -m bench.multilora`. Asks vLLM itself, AT_ONCE requests in parallel,
streamed and greedy: the base, one style, 8 and 64 styles in turn; all cases in every round. Styles beyond the
engine's slots wait for one inside it. Writes bench/results/multilora-DEVICE.json and the table in
docs/performance.md.
"""

import json
import os
import sys
import tempfile
from itertools import chain
from pathlib import Path
from statistics import median

import uvloop

from bench import report
from bench.memory import random_adapters
from bench.passes import THINGS, Pass, run_pass
from labs import machine
from labs.chat_client import ChatClient, open_client
from stack import engine

AT_ONCE = 8
REQUESTS = 64
TOKENS = 16
RANK = 8
COUNTS = (1, 8, 64)


def list_jobs(models: list[str]) -> list[tuple[str, str]]:
    """Return REQUESTS pairs of model and prompt, the models in turn."""
    jobs = []
    for number in range(REQUESTS):
        thing = THINGS[number % len(THINGS)]
        jobs.append((models[number % len(models)], f"Write a long text about {thing}, with many details."))
    return jobs


async def measure_models(client: ChatClient, models: list[str]) -> Pass:
    """Ask the models in turn, AT_ONCE in parallel, for answers of exactly TOKENS."""
    return await run_pass(client, list_jobs(models), at_once=AT_ONCE, max_tokens=TOKENS, ignore_eos=True)


async def measured(rounds: int) -> dict[str, list[Pass]]:
    """Return each case's passes."""
    cases = {"base": [os.environ["BASE_MODEL"]]}
    for count in COUNTS:
        cases[str(count)] = [f"bench_{n}" for n in range(count)]
    passes: dict[str, list[Pass]] = {name: [] for name in cases}
    url = os.environ["ENGINE_URL"]
    key = os.environ["ENGINE_API_KEY"]
    async with open_client(url, key=key) as client:
        for models in cases.values():
            await measure_models(client, models)
        for number in range(rounds):
            for name, models in cases.items():
                passes[name].append(await measure_models(client, models))
                print(f"  {number + 1}. {name:>4}  {passes[name][-1].tokens_per_s:7.1f} tokens/s", flush=True)
    return passes


def load(folder: Path) -> None:
    """Give the engine the largest case's adapters."""
    random_adapters(folder, count=max(COUNTS), rank=RANK)
    with engine.open_client(os.environ["ENGINE_URL"], os.environ["ENGINE_API_KEY"], timeout_s=180) as client:
        for number, path in enumerate(sorted(folder.iterdir())):
            body = {"lora_name": f"bench_{number}", "lora_path": str(path)}
            client.post("/v1/load_lora_adapter", json=body).raise_for_status()


def figures(passes: dict[str, list[Pass]]) -> dict[str, dict[str, float]]:
    """Return each case's medians and how much slower it is than the base and than one style."""
    rate = {name: median(one.tokens_per_s for one in ones) for name, ones in passes.items()}
    found = {}
    for name, ones in passes.items():
        first_token_s = chain.from_iterable(one.first_token_s for one in ones)
        found[name] = {
            "tokens_per_s": rate[name],
            "first_token_p50_ms": median(first_token_s) * 1000,
            "tax_against_base": 1 - rate[name] / rate["base"],
            "tax_against_one": 1 - rate[name] / rate["1"],
        }
    return found


def text_of(found: dict[str, dict[str, float]], rounds: int) -> str:
    """Return the machine and the table."""
    head = [
        "styles at once",
        "tokens/s",
        "first token, p50 (ms)",
        "tax against the base",
        "tax against one style",
    ]
    rows = []
    for name, case in found.items():
        row = [name, report.shown(case["tokens_per_s"]), report.shown(case["first_token_p50_ms"])]
        for tax in (case["tax_against_base"], case["tax_against_one"]):
            row.append("-" if tax < 0 else f"{tax:.0%}")
        rows.append(row)
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
