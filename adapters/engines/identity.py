"""The all-zero adapter through which CPU engines serve the base model.

vLLM's CPU kernels answer a base request that shares a batch with adapters with the last slot's adapter;
through an adapter that changes nothing, every request has a slot of its own.
"""

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save

from adapters import object_store
from adapters.errors import DiskUnavailable
from adapters.models import IDENTITY, BaseModel
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE

PREFERRED_MODULE = "q_proj"  # nearly every architecture has it


def write_identity(base_model: BaseModel, folder: Path) -> Path:
    """Return the absolute folder of a base model's identity adapter; write it if it isn't there yet.

    Raises DiskUnavailable.
    """
    files = _identity_files(base_model)
    # Named by its content: another base model, or another release of this code, never meets an old folder.
    digest = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
    path = folder.absolute() / f"{IDENTITY}-{digest}"
    try:
        if not path.is_dir():
            _write_folder(path, files)
    except OSError as error:
        raise DiskUnavailable from error
    return path


@cache
def seal_identity(base_model: BaseModel) -> None:
    """Write a base model's identity adapter among the sealed files, where clusters find it; once a process.

    Raises StorageUnavailable.
    """
    for file, content in _identity_files(base_model).items():
        object_store.write(base_model.identity_id, file, [content])


def _identity_files(base_model: BaseModel) -> dict[str, bytes]:
    return {CONFIG_FILE: _identity_config(base_model), WEIGHTS_FILE: _identity_weights(base_model)}


def _write_folder(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # An engine must never see half of it: the folder gets its name once its files are there.
    new = Path(tempfile.mkdtemp(prefix=f"{path.name}.tmp-", dir=path.parent))
    new.chmod(0o755)
    for name, content in files.items():
        (new / name).write_bytes(content)
    os.rename(new, path)


def _identity_config(base_model: BaseModel) -> bytes:
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model.name,
        "r": 1,
        "lora_alpha": 1,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [_target_module(base_model)],
    }
    return json.dumps(config, indent=2).encode()


def _identity_weights(base_model: BaseModel) -> bytes:
    target = _target_module(base_model)
    tensors = {}
    for module, shape in sorted(base_model.modules.items()):
        if _last_name(module) == target:
            stem = f"base_model.model.{module}"
            tensors[f"{stem}.lora_A.weight"] = np.zeros((1, shape["in"]), ml_dtypes.bfloat16)
            tensors[f"{stem}.lora_B.weight"] = np.zeros((shape["out"], 1), ml_dtypes.bfloat16)
    return save(tensors)


def _target_module(base_model: BaseModel) -> str:
    """Return the last name of the modules that the identity adapter is for."""
    names = {_last_name(module) for module in base_model.modules}
    return PREFERRED_MODULE if PREFERRED_MODULE in names else min(names)


def _last_name(module: str) -> str:
    return module.rsplit(".", 1)[-1]
