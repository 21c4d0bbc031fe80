"""An adapter's two files, in PEFT's layout."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


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
