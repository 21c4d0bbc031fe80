"""Adapters whose files are not what they claim to be."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from adapters.validation import BaseShape
from labs.broken_adapters.parts import Adapter, entries, packed
from labs.broken_adapters.registry import kind
from labs.broken_adapters.valid import valid_adapter

# The first entry of the header says something else.
ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "boolean_shape": ("header_entry", {"shape": [True, 256]}),
    "endless_shape": ("header_entry", {"shape": [9_000_000_000] * 50_000}),
    "lying_shape": ("size_lies", {"shape": [8, 33]}),
    "lying_dtype": ("size_lies", {"dtype": "F32"}),
    "unknown_dtype": ("dtype", {"dtype": "Q4_0"}),
}
_PICKLED = b"\x80\x04\x95\x20" + bytes(7) + b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
CONTENTS = {
    "header_not_utf8": ("not_safetensors", packed(b'{"\xff\xfe":1}', b"")),
    "no_tensors": ("no_tensors", packed('{"__metadata__":{"format":"pt"}}', b"")),
    "empty_file": ("weights_empty", b""),
    "five_bytes": ("header_cut", b"\x01\x02\x03\x04\x05"),
    "torch_pickle": ("weights_pickle", b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl" + bytes(500)),
    "bare_pickle": ("weights_pickle", _PICKLED + bytes(500)),
    "lfs_pointer": (
        "weights_pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    ),
}


def _register_entry(name: str, code: str, changes: dict[str, Any]) -> None:
    @kind(code, name=name)
    def alter(adapter: Adapter, base: BaseShape) -> bytes:
        return _with_entry(adapter, lambda entry: entry.update(changes))


def _register_content(name: str, code: str, content: bytes) -> None:
    @kind(code, name=name)
    def replace(adapter: Adapter, base: BaseShape) -> bytes:
        return content


for _name, (_code, _changes) in ENTRIES.items():
    _register_entry(_name, _code, _changes)
for _name, (_code, _content) in CONTENTS.items():
    _register_content(_name, _code, _content)


@kind("file_missing")
def config_absent(adapter: Adapter, base: BaseShape) -> None:
    """`make` removes the config."""


@kind("config_not_json")
def config_broken(adapter: Adapter, base: BaseShape) -> None:
    """`make` cuts the config."""


@kind("header_too_long")
def header_bomb(adapter: Adapter, base: BaseShape) -> bytes:
    return packed("{" + " " * (9 * 1024 * 1024) + "}", b"")


@kind("file_truncated")
def truncated(adapter: Adapter, base: BaseShape) -> bytes:
    return adapter.weights[:-100]


@kind("header_cut")
def truncated_in_header(adapter: Adapter, base: BaseShape) -> bytes:
    return adapter.weights[:60]


@kind("header_cut")
def lying_length(adapter: Adapter, base: BaseShape) -> bytes:
    return packed(json.dumps(entries(adapter.tensors)), b"", claimed=2**62)


@kind("not_safetensors")
def deep_header(adapter: Adapter, base: BaseShape) -> bytes:
    return packed('{"a":' + "[" * 500_000 + "]" * 500_000 + "}", b"")


@kind("header_duplicate")
def duplicate_names(adapter: Adapter, base: BaseShape) -> bytes:
    name, tensor = next(iter(adapter.tensors.items()))
    entry = f"{json.dumps(name)}:{json.dumps(entries({name: tensor})[name])}"
    return packed("{" + entry + "," + entry + "}", tensor.tobytes())


@kind("header_metadata")
def metadata_numbers(adapter: Adapter, base: BaseShape) -> None:
    adapter.metadata = {"format": 1}


@kind("header_entry")
def negative_offset(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(data_offsets=[-2, entry["data_offsets"][1] - 2]))


@kind("dtype")
def double_precision(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = valid_adapter(base, dtype=np.float64).tensors


@kind("offsets_overlap")
def overlapping(adapter: Adapter, base: BaseShape) -> bytes:
    header = entries(adapter.tensors)
    for entry in list(header.values())[1:]:
        entry["data_offsets"] = [offset - 2 for offset in entry["data_offsets"]]
    return packed(json.dumps(header), _data(adapter)[:-2])


@kind("offsets_gap")
def gap(adapter: Adapter, base: BaseShape) -> bytes:
    header = entries(adapter.tensors)
    for entry in list(header.values())[1:]:
        entry["data_offsets"] = [offset + 6 for offset in entry["data_offsets"]]
    return packed(json.dumps(header), _data(adapter) + b"hidden")


@kind("file_trailing")
def trailing(adapter: Adapter, base: BaseShape) -> bytes:
    return adapter.weights + b"more"


@kind("not_safetensors")
def random_bytes(adapter: Adapter, base: BaseShape) -> bytes:
    return np.random.default_rng(5).bytes(10_000)


def _data(adapter: Adapter) -> bytes:
    return b"".join(tensor.tobytes() for tensor in adapter.tensors.values())


def _with_entry(adapter: Adapter, alter: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with the header's first entry altered."""
    header = entries(adapter.tensors)
    alter(next(iter(header.values())))
    return packed(json.dumps(header), _data(adapter))
