"""`make bench-rotation`: more styles than slots, all asked all the time; does any wait longer than others?

`python -m stack run --all -- python -m bench.rotation`. STYLES random adapters of one tenant, each with a
client that asks one short question after the other, streamed; every eighth style has GREEDY of them. Per
style the p95 of the time to the first token, over BENCH_SECONDS after a warm-up. Writes
bench/results/rotation.json.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import uvloop

from bench import machine, report
from bench.fairness import first_token_s
from stack.trials.styles import Routes, adapters
from stack.trials.styles import made as made_styles
from stack.trials.trial import made

STYLES, GREEDY, RANK = 64, 4, 8
TOKENS = 8
LOADED_WITHIN_S = 300.0
WARM_UP_S = 30.0
GOAL = 3.0
QUESTION = "What is rain?"


def prepared(folder: Path) -> tuple[str, list[str]]:
    """Return the API key of a new tenant and the names of its styles, all of them on the engine."""
    [tenant] = made(os.environ, {"rotation": 10**9})
    folders = adapters(os.environ["BASE_MODEL_DIR"], folder, count=STYLES, rank=RANK)
    names = made_styles(os.environ, tenant.id, folders, count=STYLES)
    elapsed_s = Routes(os.environ, tenant.id).await_all(names, threading.Event(), within_s=LOADED_WITHIN_S)
    print(f"  {STYLES} styles are on the engine after {elapsed_s:.0f} s", flush=True)
    return tenant.api_key, names


async def measured(key: str, names: list[str], seconds: float) -> dict[str, list[float]]:
    """Return each style's times to the first token."""
    found: dict[str, list[float]] = {name: [] for name in names}
    begin = time.perf_counter() + WARM_UP_S
    connector = aiohttp.TCPConnector(limit=0)

    async def client(name: str) -> None:
        while (asked := time.perf_counter()) < begin + seconds:
            first_s = await first_token_s(http, key, name, QUESTION, TOKENS)
            if asked >= begin:
                found[name].append(first_s)

    async with aiohttp.ClientSession(os.environ["SITE_URL"], connector=connector) as http:
        asking = [name for at, name in enumerate(names) for _ in range(GREEDY if at % 8 == 0 else 1)]
        await asyncio.gather(*map(client, asking))
    return found


def figures(found: dict[str, list[float]], seconds: float) -> dict[str, float | str]:
    """Return the worst, the median and the best of the styles' p95, and how far apart they are."""
    p95 = sorted(quantiles(times, n=20, method="inclusive")[-1] for times in found.values())
    requests = sorted(len(times) for times in found.values())
    return {
        "styles": STYLES,
        "slots": int(os.environ["ENGINE_MAX_LORAS"]),
        "clients": f"1, of every eighth style {GREEDY}",
        "tokens_an_answer": TOKENS,
        "requests_a_style_min": requests[0],
        "requests_a_style_max": requests[-1],
        "requests_per_s": round(sum(requests) / seconds, 2),
        "p50_s": round(median(first_s for times in found.values() for first_s in times), 2),
        "p95_best_s": round(p95[0], 2),
        "p95_median_s": round(median(p95), 2),
        "p95_worst_s": round(p95[-1], 2),
        "worst_over_median": round(p95[-1] / median(p95), 2),
        "device": os.environ["ENGINE_DEVICE"],
        "machine": machine.model(),
    }


def main() -> int:
    """Prepare, measure, print, write."""
    if missing := {"SITE_URL", "DATABASE_URL"} - os.environ.keys():
        raise SystemExit(f"✗ {', '.join(sorted(missing))} not set: run this through `make bench-rotation`.")
    seconds = float(os.environ.get("BENCH_SECONDS") or 240)
    with tempfile.TemporaryDirectory(prefix="bench-rotation-") as folder:
        key, names = prepared(Path(folder))
    found = figures(uvloop.run(measured(key, names, seconds)), seconds)
    (report.RESULTS / "rotation.json").write_text(json.dumps(found, indent=1) + "\n")
    verdict = "reached" if float(found["worst_over_median"]) <= GOAL else "missed"
    print(
        f"{json.dumps(found, indent=1)}\nworst p95 / median of p95: {found['worst_over_median']} ({verdict})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
