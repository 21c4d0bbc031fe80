"""`make bench NAME=fairness`: what one tenant feels while another floods the engine.

`python -m stack run --all -- python -m bench.fairness`. One tenant asks one short question after the other;
its time to the first token is taken in quiet, and while another tenant keeps FLOOD requests open, in turn. No
answer of either may fail. Writes bench/results/fairness.json.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles

import uvloop

from bench import report
from labs.chat_client import ChatClient, Outcome, open_client
from trials.harness import create_tenants

FLOOD = 50
QUESTIONS = 32
ROUNDS = 5
GOAL = 2.0
OURS = "poetry"
THEIRS = "legal"
QUESTION = "What is rain?"
TASK = "Write a long text about the history of glass."


@dataclass
class FirstTokens:
    """Asks, takes the time to each first token, and keeps why answers failed: those have no time."""

    client: ChatClient
    failures: list[str] = field(default_factory=list)

    async def measure_s(self, key: str, model: str, prompt: str, max_tokens: int) -> float | None:
        """Return when a streamed answer's first token came, after it ended well; None if it failed."""
        reply = await self.client.chat(model, prompt, key=key, max_tokens=max_tokens)
        if reply.outcome == Outcome.COMPLETE and reply.first_token_s is not None:
            return reply.first_token_s
        self.failures.append(f"{model}: {reply.describe_failure()}")
        return None


def tenants() -> tuple[str, str]:
    """Return the API keys of the measured tenant and of the one that floods."""
    quiet, flooding = create_tenants(os.environ, {"quiet": 10**9, "flood": 10**9})
    return quiet.api_key, flooding.api_key


@asynccontextmanager
async def flood(asker: FirstTokens, key: str) -> AsyncIterator[None]:
    """Keep FLOOD requests open until the block ends."""

    async def again() -> None:
        while True:
            await asker.measure_s(key, THEIRS, TASK, 64)

    tasks = [asyncio.create_task(again()) for _ in range(FLOOD)]
    await asyncio.sleep(5)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(15)  # until the engine has given up what was hung up on


async def ask_in_turn(asker: FirstTokens, key: str) -> list[float]:
    """Return the times to the first token of one question after the other."""
    times = [await asker.measure_s(key, OURS, QUESTION, 8) for _ in range(QUESTIONS)]
    return [first_s for first_s in times if first_s is not None]


async def measured() -> dict[str, float]:
    """Return the p50 and p95 of both and their ratio, as medians over the rounds, and how much failed."""
    ours, theirs = tenants()
    found: dict[str, list[float]] = {"quiet_p50": [], "quiet_p95": [], "flood_p50": [], "flood_p95": []}
    async with open_client(os.environ["SITE_URL"]) as client:
        asker = FirstTokens(client)
        for _ in range(2):  # what the stack does at its start is over then
            await ask_in_turn(asker, ours)
        for number in range(ROUNDS):
            quiet = await ask_in_turn(asker, ours)
            async with flood(asker, theirs):
                flooded = await ask_in_turn(asker, ours)
            for name, times in (("quiet", quiet), ("flood", flooded)):
                found[f"{name}_p50"].append(median(times))
                found[f"{name}_p95"].append(quantiles(times, n=20)[-1])
            print(
                f"  {number + 1}. " + "  ".join(f"{n} {v[-1] * 1000:.0f} ms" for n, v in found.items()),
                flush=True,
            )
    middle = {f"{name}_ms": round(median(values) * 1000, 1) for name, values in found.items()}
    ratios = [f / q for f, q in zip(found["flood_p95"], found["quiet_p95"], strict=True)]
    for failure in asker.failures[:3]:
        print(f"  ✗ {failure}")
    facts = {"flood": FLOOD, "rounds": ROUNDS, "failures": len(asker.failures)}
    return middle | {"p95_ratio": round(median(ratios), 2), **facts}


def main() -> int:
    """Measure, print, write."""
    report.require_variables("bench NAME=fairness", "SITE_URL", "DATABASE_URL")
    figures: dict[str, float | str] = {**uvloop.run(measured())}
    figures |= {"max_num_seqs": int(os.environ["ENGINE_MAX_NUM_SEQS"]), "device": os.environ["ENGINE_DEVICE"]}
    report.write_results("fairness", figures)
    is_reached = float(figures["p95_ratio"]) <= GOAL and not figures["failures"]
    print(json.dumps(figures, indent=1))
    print(f"p95 with a flood / in quiet: {figures['p95_ratio']} ({report.verdict(is_reached)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
