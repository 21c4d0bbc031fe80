"""Valid adapters, to be broken: a plain one, random ones of many forms, trained ones from folders."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import safe_open

from adapters.validation import BaseShape, Linear
from labs.broken_adapters.parts import CONFIG, DTYPES, SERVED, WEIGHTS, Adapter, Array, Parts, name_of

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
KINDS = (("q_proj", "v_proj"), ATTENTION, ("gate_proj", "up_proj", "down_proj"), ())
RANKS = (1, 2, 4, 8, 8, 8, 12, 16)
LAYERS = 3
HIDDEN = 32
INNER = 48
WIDTHS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (16, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}


def tiny_base(name: str = "Tiny-Instruct", layers: int = LAYERS) -> BaseShape:
    """Return a base model of three small layers whose weights all have norm 20."""
    modules = {}
    for layer in range(layers):
        for module, (rows, columns) in WIDTHS.items():
            modules[f"model.layers.{layer}.{module}"] = Linear(rows, columns, norm=20.0)
    return BaseShape(name, {"model_type": "llama", "dtype": "bfloat16", "vocab_size": 1000}, modules)


def valid_adapter(
    base: BaseShape, *, rank: int = 8, dtype: Any = ml_dtypes.bfloat16, seed: int = 1
) -> Adapter:
    """Return a valid adapter on every module of a base: A as PEFT begins it, B small."""
    dice = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for module, linear in base.modules.items():
        a = dice.uniform(-1, 1, (rank, linear.columns)) / np.sqrt(linear.columns)
        b = dice.normal(0, 0.01, (linear.rows, rank))
        tensors[name_of(module, "A")] = a.astype(dtype)
        tensors[name_of(module, "B")] = b.astype(dtype)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": f"Somebody/{base.name}",
        "r": rank,
        "lora_alpha": 2 * rank,
        "bias": "none",
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in base.modules}),
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
    }
    return Adapter(config, tensors)


def read_adapter(folder: Path, base: BaseShape) -> Parts:
    """Return the adapter in a folder."""
    config = json.loads((folder / CONFIG).read_bytes())
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return Parts(config, tensors, file.metadata(), base=base)


def make_adapter(base: BaseShape, noise: np.random.Generator) -> Parts:
    """Return a random adapter as strong as trained ones, on some kinds of layers in a stretch of the base."""
    rank = int(noise.choice(RANKS))
    dtype = DTYPES[str(noise.choice(SERVED))]
    kinds = KINDS[noise.integers(len(KINDS))]
    chosen = [module for module in base.modules if not kinds or module.endswith(kinds)] or list(base.modules)
    first, last = sorted(noise.choice(len(chosen) + 1, 2, replace=False))
    strength = 10 ** noise.uniform(-2.5, -0.7)
    tensors: dict[str, Array] = {}
    for module in chosen[first:last]:
        linear = base.modules[module]
        a = noise.standard_normal((rank, linear.columns), np.float32) / math.sqrt(linear.columns)
        b = noise.standard_normal((linear.rows, rank), np.float32)
        b *= strength * linear.norm / math.sqrt(rank * linear.rows)
        tensors[name_of(module, "A")] = a.astype(dtype)
        tensors[name_of(module, "B")] = b.astype(dtype)
    return Parts(config(base, rank, [*chosen[first:last]]), tensors, {"format": "pt"}, base=base)


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
