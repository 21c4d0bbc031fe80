"""`make bench-engine`: the real engine through the gateway against directly; run it beside the whole stack.

`python -m stack run --all -- python -m bench.engine`. The same prompts in mixed styles, streamed, greedily,
eight at once; AB, BA, …, so that a machine that drifts does so for both. Writes bench/results/engine.json.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench import report
from bench.passes import THINGS, Pass, run_pass
from bench.targets import module
from labs import machine
from labs.chat_client import open_client

AT_ONCE = 8
MAX_TOKENS = 48
GOAL = 0.97
PROMPT = "Write a long text about {thing}, with many details. Begin with how it looks in the morning."


@dataclass(frozen=True)
class Way:
    """One way to the engine: its address and key, and what each style is called there."""

    name: str
    url: str
    key: str
    names: dict[str, str]


def ways() -> tuple[Way, Way]:
    """Return both ways to the same adapters."""
    loaded: dict[str, str] = json.loads(module("bench.tenant", "styles", variables=os.environ))
    api_key = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())["api_key"]
    return (
        Way("direct", os.environ["ENGINE_URL"], os.environ["ENGINE_API_KEY"], loaded),
        Way("gateway", os.environ["SITE_URL"], api_key, {name: name for name in loaded}),
    )


async def measure_way(way: Way) -> Pass:
    """Ask every prompt in every style once, eight at a time."""
    jobs = []
    for thing in THINGS:
        for name in way.names.values():
            jobs.append((name, PROMPT.format(thing=thing)))
    async with open_client(way.url, key=way.key) as client:
        return await run_pass(client, jobs, at_once=AT_ONCE, max_tokens=MAX_TOKENS)


async def compared(rounds: int) -> dict[str, float]:
    """Return both ways' medians, and the median of what the gateway keeps in each round."""
    both = ways()
    for way in both:
        await measure_way(way)
    passes: dict[str, list[Pass]] = {way.name: [] for way in both}
    for number in range(rounds):
        for way in both if number % 2 == 0 else reversed(both):
            done = await measure_way(way)
            passes[way.name].append(done)
            print(
                f"  {number + 1}. {way.name:<8} {done.tokens_per_s:7.1f} tokens/s  ({done.tokens})",
                flush=True,
            )
    rates = {name: [one.tokens_per_s for one in ones] for name, ones in passes.items()}
    shares = [through / direct for through, direct in zip(rates["gateway"], rates["direct"], strict=True)]
    return {
        "gateway_share": round(median(shares), 4),
        "gateway_share_least": round(min(shares), 4),
        "gateway_share_most": round(max(shares), 4),
        **{f"{name}_tokens_per_s": round(median(found), 1) for name, found in rates.items()},
        **{f"{name}_tokens": ones[-1].tokens for name, ones in passes.items()},
        "styles": len(both[0].names),
        "rounds": rounds,
        "cores": len(os.sched_getaffinity(0)),
    }


def main() -> int:
    """Compare, print, write."""
    if missing := {"ENGINE_URL", "SITE_URL", "DEMO_SECRETS_FILE"} - os.environ.keys():
        raise SystemExit(f"✗ {', '.join(sorted(missing))} not set: run this through `make bench-engine`.")
    figures = uvloop.run(compared(int(os.environ.get("BENCH_ROUNDS") or 5)))
    rows = [
        ["", "direct", "gateway"],
        ["tokens/s", *(report.shown(figures[f"{name}_tokens_per_s"]) for name in ("direct", "gateway"))],
        ["tokens in a pass", *(report.shown(figures[f"{name}_tokens"]) for name in ("direct", "gateway"))],
    ]
    verdict = "reached" if figures["gateway_share"] >= GOAL else "**missed**"
    spread = f"{figures['gateway_share_least']:.3f} to {figures['gateway_share_most']:.3f}"
    text = (
        f"{report.aligned(rows)}\n\nThe gateway keeps {figures['gateway_share']:.3f} of the direct rate "
        f"(rounds: {spread}); goal: ≥ {GOAL}, {verdict}."
    )
    print(text)
    facts = {**figures, "cpu": machine.model(), "model": os.environ["BASE_MODEL"]}
    (report.RESULTS / "engine.json").write_text(json.dumps(dict(sorted(facts.items())), indent=1) + "\n")
    report.between_marks("bench-engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
