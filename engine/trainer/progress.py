"""How far a job has got, according to its checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from trainer.errors import BadJob

FOLDER = "checkpoint"
FILE = "state.safetensors"


@dataclass
class Progress:
    """How far a training has got."""

    step: int = 0  # completed steps
    tokens: int = 0  # trained tokens
    best_step: int = 0  # whose weights are kept; 0: none yet
    best_tokens: int = 0  # trained until then
    best_loss: float | None = None  # at best_step
    worse_validations: int = 0  # since best_step
    repeats_before: float = 0.0  # how much more learned text is repeated than held-out text, before step 1


def read_progress(job: Path, fingerprint: str) -> Progress:
    """Return a job's progress; `job` is its folder. Raises BadJob."""
    file = job / FOLDER / FILE
    if not file.exists():
        return Progress()
    try:
        with safe_open(file, framework="numpy") as stored:
            state = json.loads(stored.metadata()["state"])
        progress = Progress(**state["progress"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise BadJob(f"{file} cannot be read: {error}") from None
    if state["job"] != fingerprint:
        raise BadJob(f"{file} belongs to a job with other settings or other examples.")
    return progress
