"""Jobs of tiny models for train.py and evidence.py, and what a process told."""

import json
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WORDS = "the old grey sea wind rose over a quiet harbour below white cliffs".split()  # noqa: SIM905


def write_sentences(seed: int, words: int = 40) -> str:
    """Return text that is the same for the same seed, and like that of other seeds."""
    generator = random.Random(seed)
    return " ".join(generator.choice(WORDS) for _ in range(words))


def conversation(seed: int, words: int = 40) -> dict:
    question, answer = f"Write about {seed}.", write_sentences(seed, words)
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write_rows(file: Path, rows: list[dict]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_job(folder: Path, model: Path, recipe: dict | None = None, **settings: object) -> Path:
    """Return the folder of a job with 30 conversations to learn and 6 to validate."""
    folder.mkdir()
    write_rows(folder / "learn.jsonl", [conversation(seed) for seed in range(30)])
    write_rows(folder / "validate.jsonl", [conversation(seed) for seed in range(100, 106)])
    defaults = {"base": str(model), "base_name": "test/tiny", "recipe": {"epochs": 2} | (recipe or {})}
    (folder / "job.json").write_text(json.dumps(defaults | settings))
    return folder


@dataclass
class Run:
    """What one process told until its end."""

    events: list[dict]
    status: int

    def of_type(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["type"] == kind]


@dataclass(frozen=True)
class Trainer:
    """Runs trainings of tiny bases one after another."""

    process: subprocess.Popen[str]
    bases: Path

    def run(self, job: Path, watch: Callable[[dict, int], None] = lambda _event, _process: None) -> Run:
        """Return a training's run; `watch` sees each event as it comes, with the process's id."""
        pipe = job / "events"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self.process.stdin.write(f"{job}\n")
        self.process.stdin.flush()
        process = int(self.process.stdout.readline())
        events = []
        with pipe.open() as lines:
            for line in lines:
                events.append(json.loads(line))
                watch(events[-1], process)
        return Run(events, int(self.process.stdout.readline()))
