"""Adapters whose files are not what they claim to be."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from adapters.validation import BaseShape
from labs.broken_adapters.parts import Adapter, entries, packed
from labs.broken_adapters.registry import kind
from labs.broken_adapters.valid import valid_adapter


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


@kind("not_safetensors")
def header_not_utf8(adapter: Adapter, base: BaseShape) -> bytes:
    return packed(b'{"\xff\xfe":1}', b"")


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


@kind("header_entry")
def boolean_shape(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(shape=[True, 256]))


@kind("header_entry")
def endless_shape(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(shape=[9_000_000_000] * 50_000))


@kind("size_lies")
def lying_shape(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(shape=[8, 33]))


@kind("size_lies")
def lying_dtype(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(dtype="F32"))


@kind("dtype")
def unknown_dtype(adapter: Adapter, base: BaseShape) -> bytes:
    return _with_entry(adapter, lambda entry: entry.update(dtype="Q4_0"))


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


@kind("no_tensors")
def no_tensors(adapter: Adapter, base: BaseShape) -> bytes:
    return packed('{"__metadata__":{"format":"pt"}}', b"")


@kind("weights_empty")
def empty_file(adapter: Adapter, base: BaseShape) -> bytes:
    return b""


@kind("header_cut")
def five_bytes(adapter: Adapter, base: BaseShape) -> bytes:
    return b"\x01\x02\x03\x04\x05"


@kind("not_safetensors")
def random_bytes(adapter: Adapter, base: BaseShape) -> bytes:
    return np.random.default_rng(5).bytes(10_000)


@kind("weights_pickle")
def torch_pickle(adapter: Adapter, base: BaseShape) -> bytes:
    return b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl" + bytes(500)


@kind("weights_pickle")
def bare_pickle(adapter: Adapter, base: BaseShape) -> bytes:
    return b"\x80\x04\x95\x20" + bytes(7) + b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94." + bytes(500)


@kind("weights_pointer")
def lfs_pointer(adapter: Adapter, base: BaseShape) -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def _data(adapter: Adapter) -> bytes:
    return b"".join(tensor.tobytes() for tensor in adapter.tensors.values())


def _with_entry(adapter: Adapter, alter: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with the header's first entry altered."""
    header = entries(adapter.tensors)
    alter(next(iter(header.values())))
    return packed(json.dumps(header), _data(adapter))
