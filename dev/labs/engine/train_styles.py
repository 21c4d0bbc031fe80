"""Train the shipped styles on a CPU: `train_styles.py STYLE …`, or all of them without a name.

Reads styles/STYLE/examples.jsonl and writes adapter_config.json and adapter_model.safetensors beside it.
Every tenth example is kept for validation. heldout.jsonl is never read here: the figures of docs/styles.md
are of it. The training itself is train.py's. The same texts, base and torch build give the same weights.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[3] / "engine"
sys.path.append(str(ENGINE))

import adapter
import prepare

STYLES = ENGINE / "styles"
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASE = Path(os.environ.get("BASE_MODEL_DIR") or ENGINE.parent / "var/models/SmolLM2-135M-Instruct")
VALIDATE_EVERY = 10
THREADS = 2  # the order of sums, and so the last bits of the weights, depends on it


def read_examples(file: Path) -> list[dict[str, str]]:
    """Return the prompt and response of each line of `file`. Raises SystemExit naming a wrong line."""
    if not file.is_file():
        raise SystemExit(f'{file} is missing: write one {{"prompt": …, "response": …}} a line.')
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append({"prompt": str(row["prompt"]), "response": str(row["response"])})
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f'{file} line {number} is not {{"prompt", "response"}}: {error!r}') from None
    return rows


def as_messages(row: dict[str, str]) -> list[dict[str, str]]:
    """Return a row of examples.jsonl or heldout.jsonl as a conversation."""
    return [
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["response"]},
    ]


def train_style(style: Path, base: Path) -> None:
    """Train the style in the folder `style` and write its adapter there. Raises SystemExit if that fails."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        write_job(job, base, read_examples(style / "examples.jsonl"))
        run_training(style.name, job)
        for name in (adapter.WEIGHTS, adapter.CONFIG):
            shutil.copyfile(job / "adapter" / name, style / name)
    size_mb = (style / adapter.WEIGHTS).stat().st_size / 1e6
    print(f"{style.name}: saved {size_mb:.2f} MB after {time.monotonic() - started_s:.0f} s", flush=True)


def write_job(job: Path, base: Path, rows: list[dict[str, str]]) -> None:
    """Write what train.py reads into the folder `job`."""
    validation = rows[VALIDATE_EVERY - 1 :: VALIDATE_EVERY]
    learned = [row for number, row in enumerate(rows, 1) if number % VALIDATE_EVERY]
    write_conversations(job / "learn.jsonl", learned)
    write_conversations(job / "validate.jsonl", validation)
    settings = {"base": str(base), "base_name": BASE_NAME, "threads": THREADS}
    (job / "job.json").write_text(json.dumps(settings), encoding="utf-8")


def write_conversations(file: Path, rows: list[dict[str, str]]) -> None:
    lines = [json.dumps({"messages": as_messages(row)}) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")


def run_training(name: str, job: Path) -> None:
    """Run train.py and print what it tells. Raises SystemExit if it fails."""
    command = [sys.executable, str(ENGINE / "train.py"), str(job)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        for line in training.stdout:
            report = describe_event(json.loads(line))
            if report:
                print(f"{name}: {report}", flush=True)
    if training.returncode:
        raise SystemExit(f"{name} was not trained.")


def describe_event(event: dict) -> str:
    """Return what a person wants to know of an event; nothing of a single step."""
    match event["type"]:
        case "start":
            return f"{event['examples']} examples to learn, {event['validation_examples']} to validate"
        case "validation":
            return f"step {event['step']}, validation {event['loss']:.3f}"
        case "end":
            return f"the best is step {event['best_step']}, {event['validation_loss']:.3f}"
        case "error":
            return event["message"]
    return ""


def main() -> None:
    known = sorted(folder.name for folder in STYLES.iterdir() if folder.is_dir())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("styles", nargs="*", metavar="STYLE", help=f"one of {', '.join(known)}")
    parser.add_argument("--base", type=Path, default=BASE)
    options = parser.parse_args()
    if set(options.styles) - set(known):
        parser.error(f"a style is one of {', '.join(known)}")
    if options.base == BASE:
        prepare.prepare_model(prepare.PACKAGED, BASE)
    for name in options.styles or known:
        train_style(STYLES / name, options.base.absolute())


if __name__ == "__main__":
    main()
