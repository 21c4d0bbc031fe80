"""An adapter's two files, in PEFT's layout, and the base model's linear layers that they fit."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


class NoBase(SystemExit):
    """The folder holds no base model."""


def read_layer_shapes(base: Path, modules: tuple[str, ...] = LINEAR) -> dict[str, tuple[int, int]]:
    """Return the (output, input) width of each layer of `base` named in `modules`. Raises NoBase."""
    found: dict[str, tuple[int, int]] = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118 (not a dict)
                name = key.removesuffix(".weight")
                if name != key and name.rsplit(".", 1)[-1] in modules:
                    out_width, in_width = weights.get_slice(key).get_shape()
                    found[name] = (out_width, in_width)
    if not found:
        raise NoBase(f"{base} doesn't contain a base model. Create it with engine/prepare.py --out {base}")
    return dict(sorted(found.items()))


def lora_config(
    *, base_name: str, rank: int, alpha: float, modules: tuple[str, ...], use_rslora: bool = False
) -> dict:
    """Return adapter_config.json as PEFT writes it, without what is empty or names a machine."""
    return {
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted(modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": use_rslora,
    }


def write_adapter(out: Path, settings: dict, tensors: dict[str, torch.Tensor]) -> None:
    """Write both files into the folder `out`, the weights as bfloat16. Nobody sees half of a file."""
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".adapter.", dir=out))
    try:
        packed = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
        save_file(packed, scratch / WEIGHTS, metadata={"format": "pt"})
        (scratch / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
        for name in (WEIGHTS, CONFIG):
            (scratch / name).chmod(0o644)
            os.replace(scratch / name, out / name)
    finally:
        shutil.rmtree(scratch)
