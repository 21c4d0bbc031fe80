"""`make bench-fairness`: what one tenant feels while another floods the engine.

`python -m stack run --all -- python -m bench.fairness`. One tenant asks one short question after the other;
its time to the first token is taken in quiet, and while another tenant keeps FLOOD requests open, in turn.
Writes bench/results/fairness.json.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median, quantiles

import aiohttp
import uvloop

from bench import report
from stack.trials.trial import made

FLOOD = 50
QUESTIONS = 32
ROUNDS = 5
GOAL = 2.0
OURS, THEIRS = "poetry", "legal"
QUESTION, TASK = "What is rain?", "Write a long text about the history of glass."


def tenants() -> tuple[str, str]:
    """Return the API keys of the one who asks and of the one who floods."""
    quiet, flooding = made(os.environ, {"quiet": 10**9, "flood": 10**9})
    return quiet.api_key, flooding.api_key


async def first_token_s(http: aiohttp.ClientSession, key: str, model: str, prompt: str, most: int) -> float:
    """Return when the first words of a streamed answer came; read it to its end. Raises SystemExit."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": most}
    began, first = time.perf_counter(), 0.0
    headers = {"authorization": f"Bearer {key}"}
    async with http.post("/v1/chat/completions", json=body | {"stream": True}, headers=headers) as answer:
        if answer.status != 200:
            raise SystemExit(f"✗ {model} answered {answer.status}: {await answer.text()}")
        async for line in answer.content:
            if not first and b'"content":"' in line and b'"content":""' not in line:
                first = time.perf_counter() - began
    return first


@asynccontextmanager
async def flood(http: aiohttp.ClientSession, key: str) -> AsyncIterator[None]:
    """Keep FLOOD requests open until the block ends."""

    async def again() -> None:
        while True:
            await first_token_s(http, key, THEIRS, TASK, 64)

    tasks = [asyncio.create_task(again()) for _ in range(FLOOD)]
    await asyncio.sleep(5)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(15)  # until the engine has given up what was hung up on


async def asked(http: aiohttp.ClientSession, key: str) -> list[float]:
    """Return the times to the first token of one question after the other."""
    return [await first_token_s(http, key, OURS, QUESTION, 8) for _ in range(QUESTIONS)]


async def measured() -> dict[str, float]:
    """Return the p50 and p95 of both, and their ratio, as medians over the rounds."""
    ours, theirs = tenants()
    found: dict[str, list[float]] = {"quiet_p50": [], "quiet_p95": [], "flood_p50": [], "flood_p95": []}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(os.environ["SITE_URL"], connector=connector) as http:
        for _ in range(2):  # what the stack does at its start is over then
            await asked(http, ours)
        for number in range(ROUNDS):
            quiet = await asked(http, ours)
            async with flood(http, theirs):
                flooded = await asked(http, ours)
            for name, times in (("quiet", quiet), ("flood", flooded)):
                found[f"{name}_p50"].append(median(times))
                found[f"{name}_p95"].append(quantiles(times, n=20)[-1])
            print(
                f"  {number + 1}. " + "  ".join(f"{n} {v[-1] * 1000:.0f} ms" for n, v in found.items()),
                flush=True,
            )
    middle = {f"{name}_ms": round(median(values) * 1000, 1) for name, values in found.items()}
    ratios = [f / q for f, q in zip(found["flood_p95"], found["quiet_p95"], strict=True)]
    return middle | {"p95_ratio": round(median(ratios), 2), "flood": FLOOD, "rounds": ROUNDS}


def main() -> int:
    """Measure, print, write."""
    if missing := {"SITE_URL", "DATABASE_URL"} - os.environ.keys():
        raise SystemExit(f"✗ {', '.join(sorted(missing))} not set: run this through `make bench-fairness`.")
    figures: dict[str, float | str] = {**uvloop.run(measured())}
    figures |= {"max_num_seqs": int(os.environ["ENGINE_MAX_NUM_SEQS"]), "device": os.environ["ENGINE_DEVICE"]}
    (report.RESULTS / "fairness.json").write_text(json.dumps(figures, indent=1) + "\n")
    verdict = "reached" if float(figures["p95_ratio"]) <= GOAL else "missed"
    print(
        json.dumps(figures, indent=1) + f"\np95 with a flood / in quiet: {figures['p95_ratio']} ({verdict})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
