"""Read a base model, against which adapters are checked, from its config.json and its weights."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.errors import UnreadableBase
from adapters.validation import BaseShape, Linear, LocalFile
from adapters.validation.findings import Findings
from adapters.validation.header import Tensor, read_header
from adapters.validation.shapes import last_name
from adapters.validation.tensors import DTYPES, EMBEDDINGS
from adapters.validation.weights import TYPES

BLOCK_BYTES = 4 * 1024 * 1024  # a read
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def read_base_model(directory: Path, name: str | None = None) -> BaseShape:
    """Return the shape of the base model in a folder; `name` is the folder's own unless given.

    Reads every weight once for its norm: a second per 300 MB. Raises UnreadableBase.
    """
    config = _read_json(directory, "config.json")
    modules = {}
    for file, tensor in _linear_weights(directory, vocabulary=config.get("vocab_size")):
        module = tensor.name.removesuffix(".weight")
        rows, columns = tensor.shape
        modules[module] = Linear(rows=rows, columns=columns, norm=_read_norm(file, tensor))
    if not modules:
        raise UnreadableBase(directory=directory, reason="it has no linear layers")
    return BaseShape(name or directory.resolve().name, config, dict(sorted(modules.items())))


def _read_json(directory: Path, file: str) -> dict[str, Any]:
    try:
        content = json.loads((directory / file).read_bytes())
    except OSError as error:
        raise UnreadableBase(directory=directory, reason=f"{file} can't be read") from error
    except ValueError as error:
        raise UnreadableBase(directory=directory, reason=f"{file} is not JSON") from error
    if not isinstance(content, dict):
        raise UnreadableBase(directory=directory, reason=f"{file} is not a JSON object")
    return content


def _weight_files(directory: Path) -> list[Path]:
    """Return the files that hold the weights: those of the index, or the only one, or all there are."""
    if (directory / INDEX).is_file():
        weight_map = _read_json(directory, INDEX).get("weight_map", {})  # tensor → file
        names = {Path(file).name for file in weight_map.values()}
        return sorted(directory / name for name in names)
    if (directory / SINGLE).is_file():
        return [directory / SINGLE]
    return sorted(directory.glob("*.safetensors"))


def _linear_weights(directory: Path, *, vocabulary: int | None) -> Iterator[tuple[LocalFile, Tensor]]:
    """Yield the weights of linear layers with their files, but not embeddings and the output head."""
    for path in _weight_files(directory):
        file = LocalFile(path)
        for tensor in _read_tensors(directory, file):
            if not _is_linear(tensor, vocabulary):
                continue
            if tensor.dtype not in DTYPES:
                reason = f"{tensor.name} is stored as {tensor.dtype}; norms are known for {', '.join(DTYPES)}"
                raise UnreadableBase(directory=directory, reason=reason)
            yield file, tensor


def _is_linear(tensor: Tensor, vocabulary: int | None) -> bool:
    if not tensor.name.endswith(".weight") or len(tensor.shape) != 2 or tensor.shape[0] == vocabulary:
        return False
    return last_name(tensor.name.removesuffix(".weight")) not in EMBEDDINGS


def _read_tensors(directory: Path, file: LocalFile) -> tuple[Tensor, ...]:
    findings = Findings()
    try:
        header = read_header(file, findings)
    except OSError as error:
        raise UnreadableBase(directory=directory, reason=f"{file.path.name} can't be read") from error
    if not header.is_sound:
        sentence = findings.as_tuple()[0].sentence.replace("adapter_model.safetensors", file.path.name)
        raise UnreadableBase(directory=directory, reason=f"{file.path.name}: {sentence.rstrip('.')}")
    return header.tensors


def _read_norm(file: LocalFile, tensor: Tensor) -> float:
    """Return the Frobenius norm of a weight, read in blocks."""
    squares = 0.0
    for start in range(tensor.start, tensor.end, BLOCK_BYTES):
        data = file.read(start, min(BLOCK_BYTES, tensor.end - start))
        values = np.frombuffer(data, dtype=TYPES[tensor.dtype]).astype(np.float32)
        squares += float(np.vdot(values, values))
    return math.sqrt(squares)
