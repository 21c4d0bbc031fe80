"""`make bench NAME=upload`: from "upload finished" to the first styled token, each step's share.

`ENGINE_MAX_LORA_RANK=128 python -m stack run --all -- python -m bench.upload_time`. A 50 MB adapter is
uploaded over the API; a client that asks for the style from the moment when the upload is finished gets
its first token as soon as there is one. Writes bench/results/upload.json and a table in docs/performance.md.
"""

import json
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

import openai

from bench import report
from bench.memory import random_adapters
from labs import machine
from labs.site import run_in_site
from stack.api import Api, upload_style

RANK = 82
ROUNDS = 5
GOAL_S = 5.0
SAMPLE_PROMPT = "Describe a morning in the city."


def one_round(api: Api, client: openai.OpenAI, folder: Path) -> dict[str, float]:
    """Return the seconds of each step, from the moment when the upload was finished."""
    upload = upload_style(api, folder, sample_prompt=SAMPLE_PROMPT)
    finished = time.time()
    first = first_token(client, upload.model, until_s=finished + 60)
    history = run_in_site("styles.history", model=upload.model)
    moments = {status: datetime.fromisoformat(at).timestamp() for status, at in history.items()}
    parts = {"taken up": moments["uploaded"] - finished}
    parts["checked"] = moments["valid"] - moments["uploaded"]
    parts["placed and probed"] = moments["serving"] - moments["valid"]
    parts["first token"] = first - moments["serving"]
    return parts | {"in all": first - finished}


def first_token(client: openai.OpenAI, model: str, *, until_s: float) -> float:
    """Return the time at which the first words came, asking again while the style isn't there yet."""
    while time.time() < until_s:
        try:
            chunks = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "What is rain?"}],
                max_tokens=8,
                stream=True,
            )
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    return time.time()
        except (openai.NotFoundError, openai.InternalServerError):
            time.sleep(0.05)
    raise SystemExit(f"✗ {model} did not answer.")


def main() -> int:
    """Measure, print, write."""
    report.require_variables("bench NAME=upload", "SITE_URL", "DEMO_SECRETS_FILE")
    site = os.environ["SITE_URL"]
    known = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())
    client = openai.OpenAI(base_url=f"{site}/v1", api_key=known["api_key"], max_retries=0)
    api = Api(site, known["api_key"])
    with tempfile.TemporaryDirectory(prefix="bench-upload-") as folder:
        random_adapters(Path(folder), count=ROUNDS, rank=RANK)
        adapters = sorted(Path(folder).iterdir())
        size_mb = sum(file.stat().st_size for file in adapters[0].iterdir()) / 10**6
        rounds = []
        for adapter in adapters:
            machine.await_idle_engine(os.environ["ENGINE_URL"])
            rounds.append(one_round(api, client, adapter))
            print("  " + "  ".join(f"{step} {s:.2f} s" for step, s in rounds[-1].items()), flush=True)
    found = {step: median(one[step] for one in rounds) for step in rounds[0]}
    rows = [["step", "seconds", "share"]]
    rows += [[step, f"{s:.2f}", f"{s / found['in all']:.0%}"] for step, s in found.items()]
    verdict = report.verdict(found["in all"] <= GOAL_S)
    text = (
        f"{size_mb:.1f} MB, rank {RANK} ({machine.model()}), medians of {ROUNDS} uploads.\n\n"
        f"{report.aligned(rows)}\n\nGoal: ≤ {GOAL_S:.0f} s, {verdict}."
    )
    print(text)
    report.between_marks("bench-upload", text)
    facts = {step: round(s, 3) for step, s in found.items()} | {"size_mb": round(size_mb, 1)}
    report.write_results("upload", facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
