"""A training's checkpoint: one file that is replaced as a whole.

`checkpoint/state.safetensors` holds the tensors, and everything else as JSON in its metadata. As one file, it
is either the old or the new state, even if it is copied or the process is killed while it is written. Nothing
in it is pickled: a file restored from the storage must not be able to run code.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from trainer.progress import FILE, FOLDER, Progress


def write_checkpoint(
    job: Path, fingerprint: str, progress: Progress, tensors: dict[str, torch.Tensor]
) -> None:
    """Replace a job's checkpoint. `job` is its folder."""
    folder = job / FOLDER
    folder.mkdir(exist_ok=True)
    unfinished = folder / f".{FILE}"
    state = json.dumps({"job": fingerprint, "progress": asdict(progress)})
    save_file(tensors, unfinished, metadata={"state": state})
    # The new name must not reach the disk before the content does.
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, folder / FILE)


def read_tensors(job: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a job's checkpoint; none if there is no checkpoint yet."""
    file = job / FOLDER / FILE
    if not file.exists():
        return {}
    with safe_open(file, framework="pt") as stored:
        # Copies, because the file is replaced while they are in use.
        return {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118 (not a dict)
