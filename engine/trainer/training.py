"""The training itself: steps, validations, checkpoints, and the adapter at the end."""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import adapter
import base_layers
import torch
from peft import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file

from trainer import job as jobs
from trainer.child import EventStream, StopRequest
from trainer.errors import Diverged, OutOfMemory
from trainer.examples import Example
from trainer.model import LoraModel, load_model, loss_per_token
from trainer.plan import Plan, count_tokens
from trainer.repeats import MEMORISED_EXCESS, repeat_score

# `checkpoint/state.safetensors` holds the tensors, and everything else as JSON in its metadata. It is
# replaced as a whole, so it is either the old or the new state, even if it is copied or the process is
# killed meanwhile. Nothing in it is pickled: a file restored from the storage must not be able to run code.


def write_checkpoint(
    job: Path, fingerprint: str, progress: jobs.Progress, tensors: dict[str, torch.Tensor]
) -> None:
    """Replace a job's checkpoint. `job` is its folder."""
    folder = job / jobs.CHECKPOINT
    folder.mkdir(exist_ok=True)
    unfinished = folder / f".{jobs.STATE}"
    state = json.dumps({"job": fingerprint, "progress": asdict(progress)})
    save_file(tensors, unfinished, metadata={"state": state})
    # The new name must not reach the disk before the content does.
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, folder / jobs.STATE)


def read_tensors(job: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a job's checkpoint; none if there is no checkpoint yet."""
    file = job / jobs.CHECKPOINT / jobs.STATE
    if not file.exists():
        return {}
    with safe_open(file, framework="pt") as stored:
        # Copies, because the file is replaced while they are in use.
        return {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118 (not a dict)


# Names of the tensors in a checkpoint.
WEIGHTS = "weights/"
BEST = "best/"
OPTIMIZER = "optimizer/"
RANDOM = "random/cpu"
RANDOM_CUDA = "random/cuda"


def collect_tensors(
    model: LoraModel, optimizer: torch.optim.Optimizer, best: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return everything that training needs to resume."""
    tensors = {RANDOM: torch.get_rng_state()}
    if model.device == "cuda":
        tensors[RANDOM_CUDA] = torch.cuda.get_rng_state()
    for name, weight in model.weights.items():
        tensors[f"{WEIGHTS}{name}"] = weight.detach()
    for name, weight in best.items():
        tensors[f"{BEST}{name}"] = weight
    for number, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"{OPTIMIZER}{number}/{name}"] = value
    return tensors


def restore_tensors(
    tensors: dict[str, torch.Tensor], model: LoraModel, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Restore what `collect_tensors` returned; return the best weights so far."""
    torch.set_rng_state(tensors[RANDOM])
    if RANDOM_CUDA in tensors and model.device == "cuda":
        torch.cuda.set_rng_state(tensors[RANDOM_CUDA])
    copy_weights(select_tensors(tensors, WEIGHTS), model)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in select_tensors(tensors, OPTIMIZER).items():
        number, moment = name.split("/")
        moments.setdefault(int(number), {})[moment] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return select_tensors(tensors, BEST)


def select_tensors(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def copy_weights(weights: dict[str, torch.Tensor], model: LoraModel) -> None:
    """Copy weights into the adapter."""
    for name, weight in model.weights.items():
        weight.copy_(weights[name])


LONGEST_GRADIENT = 1.0  # one odd example must not undo what was learned from the others
# Epochs without a new best after which it ends: another one would only memorise.
WORSE_VALIDATIONS = 2
TOO_LITTLE_MEMORY = "There is too little memory for this base model and examples of this length."


class Training:
    """Trains one job from its last checkpoint. Ends early on request, or once it memorises its examples."""

    def __init__(
        self, folder: Path, job: jobs.Job, plan: Plan, *, progress: jobs.Progress, events: EventStream
    ) -> None:
        torch.set_num_threads(job.threads)
        torch.manual_seed(job.seed)
        # A CPU is deterministic anyway, and this would only make it slower.
        torch.use_deterministic_algorithms(job.device == "cuda", warn_only=True)
        self._folder = folder
        self._job = job
        self._plan = plan
        self._progress = progress
        self._events = events
        self._model = load_model(job)
        self._weights = list(self._model.weights.values())
        self._optimizer = torch.optim.AdamW(self._weights, weight_decay=job.recipe.weight_decay)
        self._best: dict[str, torch.Tensor] = {}
        self._fingerprint = jobs.fingerprint_job(folder, job)
        self._saved_at_s = time.monotonic()
        stored = read_tensors(folder)
        if stored:
            self._best = restore_tensors(stored, self._model, self._optimizer)

    def run(self, stop: StopRequest) -> None:
        """Train to the end and write the adapter; on a request to stop, write a checkpoint instead."""
        if self._progress.step == 0 and not stop.is_made:
            self._validate()
        is_over = False
        for batch in self._plan.batches_after(self._progress.step):
            if stop.is_made:
                self._save()
                self._events.write("stopped", step=self._progress.step)
                return
            self._take_step(batch)
            is_over = self._plan.validates_after(self._progress.step) and self._validate()
            if is_over:
                break
            if time.monotonic() - self._saved_at_s >= self._job.checkpoint_every_s:
                self._save()
        self._finish(stopped_early=is_over)

    def _take_step(self, batch: list[Example]) -> None:
        """Train on one batch. Raises Diverged."""
        started_s = time.monotonic()
        self._model.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.learning_rate_at(self._progress.step)
        loss = self._model.backward_batch(batch)
        self._check_loss(loss)
        torch.nn.utils.clip_grad_norm_(self._weights, LONGEST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._progress.step += 1
        self._progress.tokens += count_tokens(batch)
        self._events.write(
            "step",
            step=self._progress.step,
            epoch=self._progress.step / self._plan.steps_per_epoch,
            loss=loss,
            tokens=self._progress.tokens,
            seconds=round(time.monotonic() - started_s, 3),
        )

    def _validate(self) -> bool:
        """Score held-out text and, for repeats, learned text; return whether training should end."""
        if not self._plan.validation:
            return False
        self._model.network.eval()
        held_out = [self._model.score_example(example) for example in self._plan.validation]
        learned = [self._model.score_example(example) for example in self._plan.repeated]
        loss = loss_per_token(held_out)
        self._check_loss(loss)
        learned_repeats = repeat_score([scores.predictions for scores in learned])
        held_out_repeats = repeat_score([scores.predictions for scores in held_out])
        self._events.write(
            "validation",
            step=self._progress.step,
            loss=loss,
            learned_repeats=learned_repeats,
            held_out_repeats=held_out_repeats,
        )
        return self._keep_best(loss, learned_repeats - held_out_repeats)

    def _check_loss(self, loss: float) -> None:
        """Raise Diverged if `loss` is no longer a finite number."""
        if not math.isfinite(loss):
            raise Diverged(f"After {self._progress.step} steps the loss is {loss}. Lower the learning rate.")

    def _keep_best(self, loss: float, excess_repeats: float) -> bool:
        """Keep the weights if they are the best so far; return whether training should end."""
        progress = self._progress
        if progress.step == 0:
            progress.repeats_before = excess_repeats
            return False
        is_memorising = excess_repeats - progress.repeats_before > MEMORISED_EXCESS
        is_best = progress.best_loss is None or loss < progress.best_loss or not self._job.early_stopping
        # Weights that have begun to memorise are kept only if there are no others.
        if is_best and not (is_memorising and self._best):
            progress.best_loss = loss
            progress.best_step = progress.step
            progress.best_tokens = progress.tokens
            progress.worse_validations = 0
            weights = self._model.weights
            self._best = {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()}
        else:
            progress.worse_validations += 1
        return is_memorising or progress.worse_validations >= WORSE_VALIDATIONS

    def _save(self) -> None:
        """Write a checkpoint."""
        tensors = collect_tensors(self._model, self._optimizer, self._best)
        write_checkpoint(self._folder, self._fingerprint, self._progress, tensors)
        self._saved_at_s = time.monotonic()
        self._events.write("checkpoint", step=self._progress.step)

    def _finish(self, *, stopped_early: bool) -> None:
        """Write the adapter with the best weights, or the last ones if nothing was held out."""
        if self._best:
            copy_weights(self._best, self._model)
        recipe = self._job.recipe
        settings = adapter.lora_config(
            base_name=self._job.base_name,
            rank=recipe.rank,
            alpha=recipe.scale_alpha,
            modules=base_layers.LINEAR,
            use_rslora=recipe.use_rslora,
        )
        tensors = get_peft_model_state_dict(self._model.network)
        adapter.write_adapter(self._folder / jobs.ADAPTER, settings, tensors)
        self._events.write(
            "end",
            step=self._progress.step,
            best_step=self._progress.best_step or self._progress.step,
            validation_loss=self._progress.best_loss,
            stopped_early=stopped_early,
            tokens=self._progress.tokens,
            kept_tokens=self._progress.best_tokens or self._progress.tokens,
        )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise OutOfMemory for what the libraries raise when the device runs out of memory."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise OutOfMemory(TOO_LITTLE_MEMORY) from None
    except RuntimeError as error:
        # The CPU's allocator has no class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise OutOfMemory(TOO_LITTLE_MEMORY) from None
