"""How far a job's training has come, as its checkpoint says."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from trainer.errors import BadJob

FOLDER = "checkpoint"
FILE = "state.safetensors"


@dataclass
class Progress:
    """How far a training has come."""

    step: int = 0  # completed ones
    tokens: int = 0  # trained ones
    best_step: int = 0  # 0: none yet
    best_loss: float | None = None  # at best_step
    worse_validations: int = 0  # since best_step
    repeats_before: float = 0.0  # learned text's score above held-out text's, before the first step


def read_progress(job: Path, fingerprint: str) -> Progress:
    """Return where the job in that folder stands. Raises BadJob."""
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
