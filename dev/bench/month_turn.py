"""`make bench NAME=month`: the first requests of a month, of 5,000 workspaces, before the stub engine.

Their accounts of the month are taken away, as a new month has none. Then either the task of the last hours
makes them again, as it does before a month begins, or the requests themselves have to. Each workspace sends
one request, at a moment of its own. `seed`, `forget` and `open` are the steps that the site's own code takes.
"""

import asyncio
import json
import os
import sys
import time
from itertools import batched

from bench import report, targets
from bench.load import CHAT, percentile_ms
from bench.targets import Starter
from labs import machine
from labs.chat_client import ChatClient, Outcome, open_client, run_concurrently
from labs.fake_vllm.prepared_bytes import INSTANT
from labs.machine import Cores
from labs.site import run_in_site
from stack.errors import StackError
from stack.ports import Ports
from stack.steps import Steps

PROMISED_WORKSPACES = 5_000  # a run with fewer writes no results
WORKSPACES = int(os.environ.get("BENCH_WORKSPACES", PROMISED_WORKSPACES))
ARRIVE_WITHIN_S = float(os.environ.get("BENCH_SECONDS", "20"))
UNOPENED_SHARE = 20  # of how many workspaces one meets the turn unprepared: all would take minutes
GOAL_P99_MS = 1000
PUBLISHED_AT_ONCE = 16
PUBLISHED_BETWEEN_DRAINS = 500
BODY = {"model": f"style-{INSTANT}", "messages": [{"role": "user", "content": "Rain?"}], "max_tokens": 8}


async def send_first_requests(url: str, keys: list[str], within_s: float) -> list[float]:
    """Send one request of each key, evenly spread; return how long each took, in seconds."""
    async with open_client(url) as client:
        began_s = time.perf_counter()
        jobs = []
        for number, key in enumerate(keys):
            at_s = began_s + within_s * number / len(keys)
            jobs.append(asyncio.create_task(ask_at(client, key, at_s)))
        return list(await asyncio.gather(*jobs))


async def publish(url: str, keys: list[str]) -> None:
    """Send one request of each key, a few at a time: the gateway writes into Valkey what it needs."""
    async with open_client(url) as client:
        await run_concurrently(keys, lambda key: ask_at(client, key, 0), at_once=PUBLISHED_AT_ONCE)


async def ask_at(client: ChatClient, key: str, at_s: float) -> float:
    """Send one request at its moment; return the seconds from that moment to the answer's end."""
    await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
    reply = await client.post(CHAT, BODY, key=key)
    if reply.outcome != Outcome.COMPLETE:
        raise StackError(f"A request failed: {reply.describe_failure()}")
    return time.perf_counter() - at_s


def figures(times_s: list[float], within_s: float) -> dict[str, float]:
    """Return the percentiles in milliseconds."""
    return {
        "requests": len(times_s),
        "arriving_within_s": round(within_s, 1),
        "p50_ms": percentile_ms(times_s, 0.5),
        "p99_ms": percentile_ms(times_s, 0.99),
        "worst_ms": percentile_ms(times_s, 1),
    }


def main() -> int:
    """Measure, print and write down."""
    steps = Steps()
    ports = Ports()
    with targets.open_services(steps) as stack:
        variables = stack.variables
        port = targets.start_stub(stack, ports)
        with steps.step(f"{WORKSPACES} workspaces"):
            targets.create_tenant(stack, f"http://127.0.0.1:{port}")
            file = stack.folders.var / "keys.json"
            run_in_site("month.create_workspaces", variables, count=WORKSPACES, file=str(file))
        keys: list[str] = json.loads(file.read_text())
        target = Starter(stack, ports, Cores.here(), port).polyscribe("")

        def ask(some: list[str], within_s: float) -> dict[str, float]:
            found = figures(asyncio.run(send_first_requests(target.url, some, within_s)), within_s)
            steps.say(f"    {found}")
            return found

        def drain() -> None:
            # As beat does every second. Who adds up a ledger reads all that still waits for it.
            run_in_site("usage.drain_measured", variables)

        # Nobody has an account, a route or a known key yet.
        for some in batched(keys, PUBLISHED_BETWEEN_DRAINS):
            asyncio.run(publish(target.url, list(some)))
            drain()
        known = ask(keys, ARRIVE_WITHIN_S)
        drain()
        run_in_site("month.forget_accounts", variables)
        opened = run_in_site("month.open_accounts", variables)
        turned = ask(keys, ARRIVE_WITHIN_S)
        drain()
        run_in_site("month.forget_accounts", variables)
        unopened = ask(keys[::UNOPENED_SHARE], ARRIVE_WITHIN_S / UNOPENED_SHARE)
    result = {
        "cpu": machine.model(),
        "cores": len(os.sched_getaffinity(0)),
        "workspaces": WORKSPACES,
        "goal_p99_ms": GOAL_P99_MS,
        "within the month": known,
        "after the turn, accounts made before": turned,
        "after the turn, a twentieth of them, no account made": unopened,
        "making the accounts": opened,
    }
    print(json.dumps(result, indent=1))
    if WORKSPACES >= PROMISED_WORKSPACES:
        report.write_results("month_turn", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
