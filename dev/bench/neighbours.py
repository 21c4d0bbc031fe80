"""`make bench NAME=neighbours`: what a neighbour feels while others attack, and what the attackers pay.

`python -m stack run --all -- python -m bench.neighbours [ATTACK …]`. A workspace asks one short question
after the other; its time to the first token is taken before and during each attack by workspaces on the
free plan: as many as the attack names, or BENCH_ATTACKERS. What the attackers paid is read from the ledger.
Writes bench/results/neighbours.json after each attack; figures of attacks that are not named are kept.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

import psycopg
import uvloop

from bench.attacks import ATTACK_S, ATTACKS, Attacker, Scene
from labs import report
from labs.chat_client import ChatClient, Outcome, open_client
from labs.site import run_in_site
from trials.harness import create_tenants

QUESTIONS = 8  # of the neighbour, before an attack
QUESTION_S = 30.0  # a question that has no first token by then counts as so long
CALM_S = 30.0  # so long may it take after an attack until the neighbour is answered as before
BEGINS_WITHIN_S = 900.0  # of the run; an attack that would begin later is left out, and named
OURS = "poetry"


@dataclass
class Felt:
    """What a neighbour felt: times to the first token, in seconds; those that never came, too."""

    times_s: list[float] = field(default_factory=list)
    failed: int = 0
    ended_at: dict[str, float] = field(default_factory=dict)  # of each answered request, by its id

    def figures(self) -> dict[str, float]:
        """Return them as the results have them."""
        times = self.times_s or [0.0]
        return {
            "median_ms": round(median(times) * 1000, 1),
            "worst_ms": round(max(times) * 1000, 1),
            "asked": len(self.times_s),
            "failed": self.failed,
        }


@dataclass
class Neighbour:
    """Asks a short question, again and again."""

    client: ChatClient
    api_key: str

    async def ask(self, felt: Felt) -> None:
        """Ask once and note when the first token came."""
        reply = await self.client.chat(
            OURS, "What is rain?", key=self.api_key, timeout_s=QUESTION_S, max_tokens=4
        )
        felt.times_s.append(reply.first_token_s or reply.ended_s - reply.began_s)
        if reply.outcome == Outcome.COMPLETE:
            felt.ended_at[reply.request_id] = time.time()
        else:
            felt.failed += 1

    async def ask_until(self, done: asyncio.Future[None], felt: Felt) -> None:
        """Ask until an attack is over, and at least twice."""
        while not done.done() or len(felt.times_s) < 2:
            await self.ask(felt)

    async def calm(self, median_s: float) -> float:
        """Return after how many seconds it is answered about as before; CALM_S when it is not."""
        began_s = time.perf_counter()
        while (took_s := time.perf_counter() - began_s) < CALM_S:
            felt = Felt()
            await self.ask(felt)
            if not felt.failed and felt.times_s[0] < max(1.0, 3 * median_s):
                return took_s
        return CALM_S


async def measure_attack(name: str, client: ChatClient, neighbour: Neighbour) -> dict[str, Any]:
    """Return what the neighbour felt before and during one attack, and what it cost the attackers."""
    attack = ATTACKS[name]
    number = int(os.environ.get("BENCH_ATTACKERS") or attack.attackers)
    created = await asyncio.to_thread(run_in_site, "tenants.create_attackers", count=number)
    attackers = [Attacker(**facts) for facts in created]
    scene = Scene(client, os.environ["SITE_URL"], attackers)
    before = Felt()
    during = Felt()
    for _ in range(QUESTIONS):
        await neighbour.ask(before)
    began_s = time.perf_counter()
    attacking = asyncio.ensure_future(attack.run(scene))
    await neighbour.ask_until(attacking, during)
    [ended] = await asyncio.gather(attacking, return_exceptions=True)
    took_s = time.perf_counter() - began_s
    late_s = await asyncio.to_thread(_late_s, during.ended_at)
    calm_after_s = await neighbour.calm(median(before.times_s))
    return {
        "attackers": number,
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "load": round(os.getloadavg()[0], 1),
        "before": before.figures(),
        "during": during.figures(),
        "attack_s": round(took_s, 1),
        "attack_ended": "by itself" if ended is None else repr(ended)[:200],
        "calm_after_s": round(calm_after_s, 1),
        "usage_row_late_s": late_s,
        "answers": dict(scene.answers.most_common()),
        "paid": await asyncio.to_thread(run_in_site, "usage.paid", tenants=[one.id for one in attackers]),
    }


def _late_s(ended_at: dict[str, float]) -> float | None:
    """Return how long after its end a request stood in the ledger at the latest; None if one never did."""
    query = "SELECT request_id, recorded_at FROM metering_usageevent WHERE request_id = ANY(%s)"
    until_s = time.monotonic() + CALM_S
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        while time.monotonic() < until_s:
            recorded: dict[str, datetime] = dict(database.execute(query, [list(ended_at)]).fetchall())
            if len(recorded) == len(ended_at):
                late = [at.timestamp() - ended_at[request_id] for request_id, at in recorded.items()]
                return round(max(late, default=0.0), 2)
            time.sleep(0.2)
    return None


async def measure_attacks(names: list[str]) -> dict[str, Any]:
    """Measure the attacks one after the other; write after each."""
    [quiet] = create_tenants(os.environ, {"neighbour": 10**9})
    found: dict[str, Any] = report.read_results("neighbours").get("attacks", {})
    async with open_client(os.environ["SITE_URL"], total_s=ATTACK_S + 20) as client:
        neighbour = Neighbour(client, quiet.api_key)
        warming = Felt()
        for _ in range(QUESTIONS):
            await neighbour.ask(warming)
        began_s = time.monotonic()
        left_out = []
        for name in names:
            if time.monotonic() > began_s + BEGINS_WITHIN_S:
                print(f"  {name}: left out, the run took too long", file=sys.stderr, flush=True)
                left_out.append(name)
                continue
            print(f"  {name} …", file=sys.stderr, flush=True)
            found[name] = await measure_attack(name, client, neighbour)
            print(f"  {name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
            device = os.environ.get("ENGINE_DEVICE", "")
            report.write_results("neighbours", {"device": device, "attacks": found, "left_out": left_out})
    return found


def main() -> int:
    """Measure, print, write."""
    report.require_variables("bench NAME=neighbours", "SITE_URL", "DATABASE_URL")
    names = sys.argv[1:] or list(ATTACKS)
    if unknown := set(names) - ATTACKS.keys():
        raise SystemExit(f"✗ no such attack: {', '.join(sorted(unknown))}; there are {', '.join(ATTACKS)}.")
    for name, figures in uvloop.run(measure_attacks(names)).items():
        felt = (
            f"{when} {figures[when]['median_ms']:.0f} / {figures[when]['worst_ms']:.0f} ms"
            for when in ("before", "during")
        )
        print(f"{name}: {', '.join(felt)}; paid {figures['paid']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
