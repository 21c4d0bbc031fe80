"""A job's plan, made without the base model's weights and, for speed, without PyTorch."""

import json
from pathlib import Path

import base_layers
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast

from trainer.errors import BadExample, NoBase
from trainer.examples import read_examples
from trainer.job import LEARN, VALIDATE, Job
from trainer.plan import Plan, make_plan


def prepare_plan(folder: Path, job: Job) -> Plan:
    """Return the plan of the job in `folder`. Raises NoBase and BadExample."""
    width = read_width(job.base)
    tokenizer = read_tokenizer(job.base)
    learned = read_examples(folder / LEARN, tokenizer, max_tokens=job.max_tokens)
    validation = read_examples(folder / VALIDATE, tokenizer, max_tokens=job.max_tokens)
    if not learned:
        raise BadExample(f"{LEARN} contains no conversation.")
    return make_plan(job, learned, validation, width=width)


def read_width(base: Path) -> int:
    """Return the size of a hidden state of `base`. Raises NoBase."""
    try:
        config = json.loads((base / "config.json").read_bytes())
        return int(config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoBase(f"{base} holds no base model: config.json {error!r}") from None


def read_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    """Return the base's tokenizer. Raises NoBase if it has no chat template.

    AutoTokenizer would return the same one, but imports PyTorch.
    """
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError) as error:
        raise NoBase(f"{base} holds no tokenizer: {error}") from None
    if not tokenizer.chat_template or not tokenizer.eos_token:
        raise NoBase(f"The tokenizer in {base} lacks a chat template or an end-of-sequence token.")
    return tokenizer


def count_trainable_parameters(base: Path, rank: int) -> int:
    """Return the size of an adapter of that rank for all linear layers of `base`. Raises NoBase."""
    try:
        shapes = base_layers.read_layer_shapes(base)
    except (base_layers.NoBase, SafetensorError) as error:
        raise NoBase(f"The weights in {base} cannot be used: {error}") from None
    return sum(rank * (out_width + in_width) for out_width, in_width in shapes.values())
