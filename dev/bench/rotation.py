"""`bench rotation`: more styles than slots, all asked all the time; does any wait longer than others?

`ENGINE_MAX_NUM_SEQS=32 python -m stack run --all -- python -m bench.rotation`. STYLES random adapters of one
tenant, each with a client that asks one short question after the other, streamed; every eighth style has
GREEDY of them. Per style the p95 of the time to the first token, over BENCH_SECONDS after a warm-up; no
answer may fail. A tenant must have more places than there are slots: else places are what styles wait for.
Writes bench/results/rotation.json.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median, quantiles

import uvloop

from bench import report
from bench.fairness import FirstTokens
from inference.contract.route import EngineLimits
from inference.proxy.turn_order import RESERVE
from labs import machine
from labs.chat_client import open_client
from trials.harness import create_tenants
from trials.styles import Routes, create_styles, make_adapters

STYLES = 64
GREEDY = 2
RANK = 8
TOKENS = 8  # all styles have had a turn after about 30 s on two cores: the gateway's patience is 60 s
LOADED_WITHIN_S = 300.0
WARM_UP_S = 30.0
GOAL = 3.0
QUESTION = "What is rain?"


@dataclass(frozen=True)
class Seen:
    """Each style's times to the first token, the fewest styles that were asked for at once, what failed."""

    times_s: dict[str, list[float]]
    asked_at_once: int
    failures: list[str]


def slots() -> int:
    """Return how many of the engine's slots requests have: one is left to probes."""
    names = ("ENGINE_MAX_NUM_SEQS", "ENGINE_MAX_LORAS", "ENGINE_MAX_CPU_LORAS")
    return EngineLimits(*(int(os.environ[name]) for name in names)).slots


def places() -> int:
    """Return how many requests one tenant may have running."""
    most = int(os.environ["ENGINE_MAX_NUM_SEQS"])
    return most - int(most * RESERVE)


def prepared(folder: Path) -> tuple[str, list[str]]:
    """Return the API key of a new tenant and the names of its styles, all of them on the engine."""
    [tenant] = create_tenants(os.environ, {"rotation": 10**9})
    folders = make_adapters(os.environ["BASE_MODEL_DIR"], folder, count=STYLES, rank=RANK)
    names = create_styles(os.environ, tenant.id, folders, count=STYLES)
    elapsed_s = Routes(os.environ, tenant.id).await_all(names, threading.Event(), within_s=LOADED_WITHIN_S)
    print(f"  {STYLES} styles are on the engine after {elapsed_s:.0f} s", flush=True)
    return tenant.api_key, names


async def measured(key: str, names: list[str], seconds: float) -> Seen:
    """Ask until the time is over; return what was seen after the warm-up, and what failed at any time."""
    times_s: dict[str, list[float]] = {name: [] for name in names}
    under_way = Counter[str]()
    at_once = list[int]()
    begin = time.perf_counter() + WARM_UP_S

    async def client(name: str) -> None:
        while (parsed := time.perf_counter()) < begin + seconds:
            under_way[name] += 1
            if parsed >= begin:
                at_once.append(sum(requests > 0 for requests in under_way.values()))
            first_s = await asker.measure_s(key, name, QUESTION, TOKENS)
            under_way[name] -= 1
            if parsed >= begin and first_s is not None:
                times_s[name].append(first_s)

    async with open_client(os.environ["SITE_URL"]) as chat_client:
        asker = FirstTokens(chat_client)
        asking = list(names)
        asking += names[::8] * (GREEDY - 1)
        await asyncio.gather(*map(client, asking))
    return Seen(times_s, min(at_once, default=0), asker.failures)


def figures(seen: Seen, seconds: float) -> dict[str, float | str]:
    """Return the worst, the median and the best of the styles' p95, and how far apart they are.

    Raises SystemExit where a style has too few answers for one.
    """
    requests = sorted(map(len, seen.times_s.values()))
    if requests[0] < 2:
        raise SystemExit(f"✗ A style was answered {requests[0]} times. Failures: {seen.failures[:3]}")
    p95 = sorted(quantiles(times, n=20, method="inclusive")[-1] for times in seen.times_s.values())
    return {
        "styles": STYLES,
        "slots_for_requests": slots(),
        "places_of_one_tenant": places(),
        "styles_asked_at_once_min": seen.asked_at_once,
        "clients": f"1, of every eighth style {GREEDY}",
        "tokens_an_answer": TOKENS,
        "failures": len(seen.failures),
        "requests_a_style_min": requests[0],
        "requests_a_style_max": requests[-1],
        "requests_per_s": round(sum(requests) / seconds, 2),
        "p50_s": round(median(chain.from_iterable(seen.times_s.values())), 2),
        "p95_best_s": round(p95[0], 2),
        "p95_median_s": round(median(p95), 2),
        "p95_worst_s": round(p95[-1], 2),
        "worst_over_median": round(p95[-1] / median(p95), 2),
        "device": os.environ["ENGINE_DEVICE"],
        "machine": machine.model(),
    }


def main() -> int:
    """Prepare, measure, print, write."""
    report.require_variables("bench NAME=rotation", "SITE_URL", "DATABASE_URL")
    if places() <= slots():
        raise SystemExit(
            f"✗ One tenant has {places()} places for {slots()} slots: no style would wait for one."
        )
    seconds = float(os.environ.get("BENCH_SECONDS") or 200)
    with tempfile.TemporaryDirectory(prefix="bench-rotation-") as folder:
        key, names = prepared(Path(folder))
    seen = uvloop.run(measured(key, names, seconds))
    found = figures(seen, seconds)
    report.write_results("rotation", found)
    rotated = seen.asked_at_once > slots() and not seen.failures
    verdict = report.verdict(rotated and float(found["worst_over_median"]) <= GOAL)
    for failure in seen.failures[:3]:
        print(f"  ✗ {failure}")
    print(json.dumps(found, indent=1))
    print(f"worst p95 / median of p95: {found['worst_over_median']} ({verdict})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
