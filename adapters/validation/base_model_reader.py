"""Base models as folders: what adapters are checked against, read from config.json and the weights."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.validation import BaseShape, Linear, LocalFile
from adapters.validation.findings import Findings
from adapters.validation.header import Tensor, read_header
from adapters.validation.tensors import DTYPES, EMBEDDINGS
from adapters.validation.weights import TYPES
from foundation.errors import Invalid

BLOCK = 4 * 1024 * 1024  # bytes a read
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


class UnreadableBase(Invalid):
    """{directory} holds no base model that adapters can be checked against: {reason}."""

    code = "unreadable_base"


def read_base_model(directory: Path, name: str | None = None) -> BaseShape:
    """Return the shape of the base model in a folder; `name` is the folder's own unless given.

    Reads every weight once for its norm: a second per 300 MB. Raises UnreadableBase.
    """
    config = _json(directory, "config.json")
    modules = {
        tensor.name.removesuffix(".weight"): Linear(
            rows=tensor.shape[0], columns=tensor.shape[1], norm=_norm(file, tensor)
        )
        for file, tensor in _linears(directory, vocabulary=config.get("vocab_size"))
    }
    if not modules:
        raise UnreadableBase(directory=directory, reason="its files have no linear layers")
    return BaseShape(name or directory.resolve().name, config, dict(sorted(modules.items())))


def _json(directory: Path, file: str) -> dict[str, Any]:
    try:
        content = json.loads((directory / file).read_bytes())
    except OSError as error:
        raise UnreadableBase(directory=directory, reason=f"{file} can't be read") from error
    except ValueError as error:
        raise UnreadableBase(directory=directory, reason=f"{file} is not JSON") from error
    if not isinstance(content, dict):
        raise UnreadableBase(directory=directory, reason=f"{file} is not a JSON object")
    return content


def _files(directory: Path) -> list[Path]:
    """Return the files that hold the weights: those of the index, or the only one, or all there are."""
    if (directory / INDEX).is_file():
        listed = set(_json(directory, INDEX).get("weight_map", {}).values())
        return sorted(directory / Path(file).name for file in listed)
    if (directory / SINGLE).is_file():
        return [directory / SINGLE]
    return sorted(directory.glob("*.safetensors"))


def _linears(directory: Path, *, vocabulary: int | None) -> Iterator[tuple[LocalFile, Tensor]]:
    """Yield the weights of linear layers with their files; embeddings and the output head are none."""
    for path in _files(directory):
        file = LocalFile(path)
        for tensor in _tensors(directory, file):
            owner = tensor.name.removesuffix(".weight")
            if owner == tensor.name or len(tensor.shape) != 2 or tensor.shape[0] == vocabulary:
                continue
            if owner.rsplit(".", 1)[-1] in EMBEDDINGS:
                continue
            if tensor.dtype not in DTYPES:
                reason = f"{tensor.name} is stored as {tensor.dtype}; norms are known for {', '.join(DTYPES)}"
                raise UnreadableBase(directory=directory, reason=reason)
            yield file, tensor


def _tensors(directory: Path, file: LocalFile) -> tuple[Tensor, ...]:
    findings = Findings()
    try:
        header = read_header(file, findings)
    except OSError as error:
        raise UnreadableBase(directory=directory, reason=f"{file.path.name} can't be read") from error
    if not header.is_sound:
        sentence = findings.closed()[0].sentence.replace("adapter_model.safetensors", file.path.name)
        raise UnreadableBase(directory=directory, reason=f"{file.path.name}: {sentence.rstrip('.')}")
    return header.tensors


def _norm(file: LocalFile, tensor: Tensor) -> float:
    """Return the Frobenius norm of a weight, read in blocks."""
    squares = 0.0
    for start in range(tensor.start, tensor.end, BLOCK):
        data = file.read(start, min(BLOCK, tensor.end - start))
        values = np.frombuffer(data, dtype=TYPES[tensor.dtype]).astype(np.float32)
        squares += float(np.vdot(values, values))
    return math.sqrt(squares)
