"""`make bench-ray`: a Ray cluster with one and two replicas against vLLM by itself, on the same machine.

`ENGINE_KIND=ray ENGINE_REPLICAS=2 python -m stack run --all -- python -m bench.cluster` measures the stack
that it runs beside, through the gateway, and puts the figures beside those of the other kinds, in
bench/results/ray.json and bench/results/ray.md.
"""

import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import openai
import psutil
import uvloop

from bench import report
from bench.engine import MAX_TOKENS, PROMPT
from bench.passes import THINGS, Pass, run_pass
from bench.upload_time import one_round
from labs import machine
from labs.chat_client import ChatClient, open_client
from stack.api import Api
from stack.folders import Folders
from stack.smoke import STYLE

STYLES = ("poetry", "genz", "legal")
AT_ONCE = 8
PASSES = 3
UPLOADS = 3
CASES = {"single": (1, STYLES[:1]), "one_style": (AT_ONCE, STYLES[:1]), "mixed": (AT_ONCE, STYLES)}
ALONE = "vLLM"
TITLES = {
    "start_s": "start to ready and seeded (s)",
    "memory_mib": "memory of the engine's processes (MiB)",
    "single": "tokens/s, one request at a time",
    "one_style": f"tokens/s, {AT_ONCE} at once, one style",
    "mixed": f"tokens/s, {AT_ONCE} at once, three styles",
    "per_cpu_s": "tokens for each processor second of the engine, the same",
    "first_word_s": "upload finished to first styled token (s)",
}
RESULTS = report.RESULTS / "ray.json"

type Figures = dict[str, float]


def name_kind() -> str:
    """Return what the engine beside this is called in the table."""
    if os.environ["ENGINE_KIND"] == "vllm":
        return ALONE
    count = os.environ["ENGINE_REPLICAS"]
    return f"Ray, {count} replica{'' if count == '1' else 's'}"


def measured(start_s: float) -> Figures:
    """Return all figures of the stack that this runs beside."""
    site = os.environ["SITE_URL"]
    known = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())
    record = Folders(Path(os.environ["DEMO_SECRETS_FILE"]).parent).pids / "engine.json"
    engine = json.loads(record.read_text())["pid"]
    rates = uvloop.run(measure_rates(site, known["api_key"], engine))
    api = Api(site, known["api_key"])
    client = openai.OpenAI(base_url=f"{site}/v1", api_key=known["api_key"], max_retries=0, timeout=120)
    first_word_s = median(one_round(api, client, STYLE)["in all"] for _ in range(UPLOADS))
    memory_mib = sum(map(pss_mib, machine.family(engine)))
    return {"start_s": start_s, "memory_mib": memory_mib, **rates, "first_word_s": first_word_s}


async def measure_rates(site: str, key: str, engine: int) -> Figures:
    """Return medians of tokens/s, and tokens by processor time of the last case; the first pass warms up."""
    async with open_client(site, key=key) as client:
        await measure_case(client, *CASES["mixed"])
        passes: dict[str, list[Pass]] = {}
        for name, case in CASES.items():
            before_s = machine.cpu_s(engine)
            passes[name] = [await measure_case(client, *case) for _ in range(PASSES)]
            used_s = machine.cpu_s(engine) - before_s
    rates = {name: median(one.tokens_per_s for one in ones) for name, ones in passes.items()}
    return rates | {"per_cpu_s": sum(one.tokens for one in passes["mixed"]) / used_s}


async def measure_case(client: ChatClient, at_once: int, styles: tuple[str, ...]) -> Pass:
    """Make one pass: as many answers as keep all clients busy twice."""
    jobs = []
    for thing in THINGS * 2:
        for style in styles:
            jobs.append((style, PROMPT.format(thing=thing)))
    return await run_pass(client, jobs[: 2 * at_once], at_once=at_once, max_tokens=MAX_TOKENS)


def pss_mib(process: psutil.Process) -> float:
    """Return a process's memory, what it shares counted in parts; 0 when it is gone."""
    try:
        return float(process.memory_full_info().pss) / machine.MIB
    except psutil.NoSuchProcess:
        return 0


def age_s(pid: int) -> float:
    """Return how long ago a process began."""
    return time.time() - psutil.Process(pid).create_time()


def render_report(found: dict[str, Figures]) -> str:
    """Return the figures as Markdown; rates also as multiples of vLLM's by itself."""
    cells = []
    for key, title in TITLES.items():
        row = [_cell(key, figures, found.get(ALONE)) for figures in found.values()]
        cells.append([title, *row])
    return (
        "# A Ray cluster and vLLM by itself, on one machine\n\n"
        f"Written by `make bench-ray`: {len(os.sched_getaffinity(0))} cores of {machine.model()}, "
        f"{os.environ['BASE_MODEL']} in {os.environ['ENGINE_DTYPE']}, answers of {MAX_TOKENS} tokens through "
        f"the gateway, medians of {PASSES} passes and of {UPLOADS} uploads of 5 MB.\n\n"
        f"{report.aligned([['', *found], *cells])}\n"
    )


def _cell(key: str, figures: Figures, alone: Figures | None) -> str:
    value = report.shown(figures[key])
    is_rate = key in (*CASES, "per_cpu_s")
    return f"{value} ({figures[key] / alone[key]:.2f} x)" if alone and is_rate else value


def main() -> int:
    """Measure, print, write."""
    start_s = age_s(os.getppid())
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found[name_kind()] = measured(start_s)
    found = dict(sorted(found.items(), key=lambda item: (item[0] != ALONE, item[0])))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(render_report(found))
    print(render_report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
