"""`make bench-eager`: what a CPU engine loses that runs uncompiled, for want of a C++ compiler.

`python -m bench.eager`. Starts vLLM by engine/serve.py again and again, with a compiler and without one in
turn, and asks it: the base model and a shipped style, one request alone and AT_ONCE together. One engine at a
time: two would bind their threads to the same cores. Writes bench/results/eager.json and the table in
docs/running.md.
"""

import json
import os
import sys
from collections import defaultdict
from statistics import median

import uvloop

from adapters.engines.capacity import Limits
from bench import report
from bench.memory import post_json, running
from bench.multilora import TOKENS
from bench.passes import THINGS, Pass, run_pass
from labs import machine
from labs.chat_client import ChatClient, open_client
from stack.environment import base_model
from stack.folders import ROOT
from stack.smoke import STYLE

AT_ONCE = 8
REQUESTS = 16
LIMITS = Limits(max_loras=8, max_cpu_loras=64, max_lora_rank=16)
# engine/serve.py asks for the compiler that CXX names; this one is none.
WAYS: dict[str, dict[str, str]] = {"compiled": {}, "uncompiled": {"CXX": "no-compiler"}}
DOC = ROOT / "docs" / "running.md"
CASES = {
    "base, one alone": ("base", 1),
    "base, 8 at once": ("base", AT_ONCE),
    "style, one alone": ("style", 1),
    "style, 8 at once": ("style", AT_ONCE),
}


async def measure_case(client: ChatClient, model: str, *, at_once: int) -> Pass:
    """Ask REQUESTS times, so many at once, for answers of exactly TOKENS."""
    jobs = []
    for number in range(REQUESTS):
        jobs.append((model, f"Write a long text about {THINGS[number % len(THINGS)]}."))
    return await run_pass(client, jobs, at_once=at_once, max_tokens=TOKENS, ignore_eos=True)


async def all_cases(url: str) -> dict[str, Pass]:
    """Return one pass of each case, after one that warms."""
    models = {"base": base_model()[1], "style": STYLE.name}
    found = {}
    async with open_client(url) as client:
        for case, (model, at_once) in CASES.items():
            await measure_case(client, models[model], at_once=AT_ONCE)
            found[case] = await measure_case(client, models[model], at_once=at_once)
    return found


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Return each case's medians, and the median of what running uncompiled keeps of each round's rate."""
    passes: dict[tuple[str, str], list[Pass]] = defaultdict(list)
    for number in range(rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            with running(LIMITS, **WAYS[way]) as (url, _):
                post_json(f"{url}/v1/load_lora_adapter", {"lora_name": STYLE.name, "lora_path": str(STYLE)})
                found = uvloop.run(all_cases(url))
            for case, done in found.items():
                passes[case, way].append(done)
                print(f"  {number + 1}. {case:<16} {way:<10} {done.tokens_per_s:7.1f} tokens/s", flush=True)
    return {case: figures(passes[case, "compiled"], passes[case, "uncompiled"]) for case in CASES}


def figures(compiled: list[Pass], uncompiled: list[Pass]) -> dict[str, float]:
    """Return one case's figures."""
    kept = [
        without.tokens_per_s / with_it.tokens_per_s
        for with_it, without in zip(compiled, uncompiled, strict=True)
    ]
    return {
        "compiled_tokens_per_s": round(median(one.tokens_per_s for one in compiled), 1),
        "uncompiled_tokens_per_s": round(median(one.tokens_per_s for one in uncompiled), 1),
        "compiled_first_token_ms": round(median_first_token_ms(compiled), 1),
        "uncompiled_first_token_ms": round(median_first_token_ms(uncompiled), 1),
        "uncompiled_keeps": round(median(kept), 3),
    }


def median_first_token_ms(passes: list[Pass]) -> float:
    """Return the median of the passes' medians."""
    return median(median(one.first_token_s) for one in passes) * 1000


def text_of(found: dict[str, dict[str, float]], rounds: int) -> str:
    """Return the machine and the table."""
    head = ["tokens/s", "compiled", "uncompiled", "uncompiled keeps"]
    rows = [
        [
            case,
            report.shown(one["compiled_tokens_per_s"]),
            report.shown(one["uncompiled_tokens_per_s"]),
            f"{one['uncompiled_keeps']:.0%}",
        ]
        for case, one in found.items()
    ]
    return (
        f"{base_model()[1]} on {machine.model()}, {len(os.sched_getaffinity(0))} cores; "
        f"medians of {rounds} rounds in turn.\n\n{report.aligned([head, *rows])}"
    )


def main() -> int:
    """Measure, print, write."""
    rounds = int(os.environ.get("BENCH_ROUNDS") or 3)
    found = measured(rounds)
    text = text_of(found, rounds)
    print(text)
    report.between_marks("bench-eager", text, DOC)
    (report.RESULTS / "eager.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
