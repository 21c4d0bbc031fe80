"""A job's settings: `job.json` in the job's folder."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from trainer.errors import BadJob

SETTINGS = "job.json"
LEARN = "learn.jsonl"
VALIDATE = "validate.jsonl"
ADAPTER = "adapter"


class Settings(BaseModel):
    """Rejects unknown fields, so that a misspelt setting never silently keeps its default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Recipe(Settings):
    """How the adapter learns."""

    rank: int = Field(8, ge=1, le=256)
    alpha: int | float | None = Field(None, gt=0)  # None: twice the rank
    learning_rate: float | None = Field(None, gt=0, le=1)  # None: by the base model's width
    learning_rate_multiplier: float = Field(1, gt=0, le=10)
    epochs: int = Field(2, ge=1, le=100)
    batch_size: int = Field(4, ge=1, le=1024)
    warmup_ratio: float = Field(0.1, ge=0, lt=1)  # of all steps
    weight_decay: float = Field(0.01, ge=0, le=1)
    use_rslora: bool = False

    @property
    def scale_alpha(self) -> int | float:
        """Return LoRA's alpha."""
        return self.alpha or 2 * self.rank


class ModelSettings(Settings):
    """Which base model runs, and where."""

    base: Path
    base_name: str
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(1, ge=1, le=1024)
    quantisation: Literal["", "4-bit"] = ""
    max_tokens: int = Field(1024, ge=16)  # of one example


class Job(ModelSettings):
    """The settings in job.json."""

    seed: int = Field(7, ge=0, lt=2**63)
    checkpoint_every_s: float = Field(60, ge=0)
    # Whether validate.jsonl is of texts that are not learned at all. The end of a learned text says little
    # about the next one, so then the last state is kept.
    early_stopping: bool = True
    recipe: Recipe = Recipe()


Kind = TypeVar("Kind", bound=ModelSettings)


def read_job(folder: Path) -> Job:
    """Return the settings of the job in `folder`. Raises BadJob."""
    return read_settings(folder, SETTINGS, Job)


def read_settings(folder: Path, name: str, kind: type[Kind]) -> Kind:  # noqa: UP047 (Python 3.11)
    """Return the settings in the file `name` beside the two files of examples. Raises BadJob."""
    for required in (name, LEARN, VALIDATE):
        if not (folder / required).is_file():
            raise BadJob(f"{folder / required} is missing.")
    try:
        return kind.model_validate_json((folder / name).read_bytes())
    except ValidationError as error:
        raise BadJob(f"{name}: {describe_problems(error)}") from None


def describe_problems(error: ValidationError) -> str:
    """Return the problems, each with its field."""
    problems = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{field}: {problem['msg']}" if field else problem["msg"])
    return "; ".join(problems)


def fingerprint_job(folder: Path, job: Job) -> str:
    """Return a hash of everything that affects what is learned, and of nothing else.

    A job may resume elsewhere: with its base in another folder, or with another number of threads.
    """
    affecting = job.model_dump_json(exclude={"base", "device", "threads", "checkpoint_every_s"})
    digest = hashlib.sha256(affecting.encode())
    for name in (LEARN, VALIDATE):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()


# How far a job has got, according to its checkpoint.

CHECKPOINT = "checkpoint"
STATE = "state.safetensors"


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


def read_progress(folder: Path, fingerprint: str) -> Progress:
    """Return the progress of the job in `folder`. Raises BadJob."""
    file = folder / CHECKPOINT / STATE
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
