"""What is mutated: adapters that are right, trained ones from folders and random ones of many forms."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from adapters.validation import BaseShape
from labs.mutations.parts import DTYPES, SERVED, Array, Dice, Parts, name_of

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KINDS = (
    ("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj"), (),
)  # fmt: skip
RANKS = (1, 2, 4, 8, 8, 8, 12, 16)


def read(folder: Path, base: BaseShape) -> Parts:
    """Return the adapter in a folder."""
    config = json.loads((folder / CONFIG).read_bytes())
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return Parts(base, config, tensors, file.metadata())


def origin(trained: Sequence[Parts], base: BaseShape, dice: Dice) -> Parts:
    """Return a trained adapter one time in four, else a random one: smaller, so that more can be tried."""
    if not trained or dice.random() > 0.25:
        return made(base, dice)
    known = dice.choice(trained)
    return Parts(base, dict(known.config), dict(known.tensors), known.metadata and dict(known.metadata))


def made(base: BaseShape, dice: Dice) -> Parts:
    """Return a random adapter as strong as trained ones, on some kinds of layers in a stretch of the base."""
    rank, dtype, kinds = dice.choice(RANKS), DTYPES[dice.choice(SERVED)], dice.choice(KINDS)
    chosen = [module for module in base.modules if not kinds or module.endswith(kinds)] or list(base.modules)
    first, last = sorted(dice.sample(range(len(chosen) + 1), 2))
    strength = dice.magnitude(-2.5, -0.7)
    tensors: dict[str, Array] = {}
    for module in chosen[first:last]:
        linear = base.modules[module]
        a = dice.noise.standard_normal((rank, linear.columns), np.float32) / math.sqrt(linear.columns)
        b = dice.noise.standard_normal((linear.rows, rank), np.float32)
        b *= strength * linear.norm / math.sqrt(rank * linear.rows)
        tensors[name_of(module, "A")], tensors[name_of(module, "B")] = a.astype(dtype), b.astype(dtype)
    return Parts(base, config(base, rank, [*chosen[first:last]]), tensors, {"format": "pt"})


def config(base: BaseShape, rank: int, modules: Sequence[str]) -> dict[str, Any]:
    """Return adapter_config.json as PEFT writes it."""
    return {
        "base_model_name_or_path": base.name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in modules}),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
