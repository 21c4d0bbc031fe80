"""A valid adapter of a tiny base, and ones that are broken in one known way each, with what that leads to."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from adapters.validation import BaseShape, Linear
from labs.broken_adapters.parts import (
    CONFIG,
    PREFIX,
    WEIGHTS,
    Adapter,
    Array,
    config,
    entries,
    name_of,
    packed,
)

LAYERS = 3
HIDDEN = 32
INNER = 48
WIDTHS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (16, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
# Each kind changes a valid adapter in place, or returns the bytes of a weights file that is none.
Breaker = Callable[[Adapter, BaseShape], bytes | None]
KINDS: dict[str, Breaker] = {}
CODES: dict[str, str] = {}


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
    named = {"base_model_name_or_path": f"Somebody/{base.name}", "lora_alpha": 2 * rank}
    return Adapter(config(base, rank, [*base.modules]) | named, tensors)


def kind(code: str) -> Callable[[Breaker], Breaker]:
    """Register a way to break an adapter, under its function's name, and what it must lead to."""

    def register(breaker: Breaker) -> Breaker:
        add_kind(breaker.__name__, code, breaker)
        return breaker

    return register


def add_kind(name: str, code: str, breaker: Breaker) -> None:
    """Register a way to break an adapter under a name, and what it must lead to."""
    KINDS[name] = breaker
    CODES[name] = code


def make(name: str, folder: Path, base: BaseShape) -> None:
    """Write a broken adapter into a folder."""
    adapter = valid_adapter(base)
    weights = KINDS[name](adapter, base)
    adapter.write(folder)
    if weights is not None:
        (folder / WEIGHTS).write_bytes(weights)
    if name == "config_absent":
        (folder / CONFIG).unlink()
    if name == "config_broken":
        (folder / CONFIG).write_bytes(adapter.config_bytes[:-20])


def first(adapter: Adapter, side: str = "B") -> str:
    """Return the name of an adapter's first factor of a side."""
    return next(name for name in adapter.tensors if name.endswith(f".lora_{side}.weight"))


def change(adapter: Adapter, side: str, values: Callable[[Array], Array]) -> None:
    """Change all factors of one side, each in its own type."""
    for name, tensor in adapter.tensors.items():
        if f".lora_{side}." in name:
            adapter.tensors[name] = values(tensor.astype("f8")).astype(tensor.dtype)


def rename_tensors(adapter: Adapter, before: str, after: str) -> None:
    """Replace a part of every tensor's name."""
    adapter.tensors = {name.replace(before, after): tensor for name, tensor in adapter.tensors.items()}


# The config asks for what can't be served.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "alora": ("alora", {"alora_invocation_tokens": [1, 2]}),
    "bias_all": ("bias", {"bias": "all"}),
    "bias_null": ("bias", {"bias": None}),
    "alpha_vanishing": ("all_zero", {"lora_alpha": 5e-324}),
    "lora_bias": ("lora_bias", {"lora_bias": True}),
    "layer_replication": ("layer_replication", {"layer_replication": [[0, 2], [1, 3]]}),
    "pissa": ("init_changes_base", {"init_lora_weights": "pissa_niter_16"}),
    "olora": ("init_changes_base", {"init_lora_weights": "olora"}),
    "corda": ("init_changes_base", {"init_lora_weights": "corda"}),
    "loftq": ("init_changes_base", {"init_lora_weights": "loftq"}),
    "lora_ga": ("init_changes_base", {"init_lora_weights": "lora_ga"}),
    "qalora": ("qalora", {"use_qalora": True}),
    "bdlora": ("bdlora", {"use_bdlora": {"nblocks": 2}}),
    "kasa": ("kasa", {"kasa_config": {"beta": 1}}),
    "monteclora": ("monteclora", {"monteclora_config": {"n": 1}}),
    "arrow": ("arrow", {"arrow_config": {"top_k": 1}}),
    "target_parameters": ("target_parameters", {"target_parameters": ["experts.down_proj"]}),
    "trainable_tokens": ("trainable_tokens", {"trainable_token_indices": [5]}),
    "fan_in_fan_out": ("fan_in_fan_out", {"fan_in_fan_out": True}),
    "future_feature": ("feature_unknown", {"use_wonder": True}),
    "classifier": ("task_type", {"task_type": "SEQ_CLS"}),
    "rank_zero": ("rank_invalid", {"r": 0}),
    "rank_boolean": ("rank_invalid", {"r": True}),
    "alpha_infinite": ("alpha_invalid", {"lora_alpha": 10**400}),
    "alpha_negative": ("alpha_invalid", {"lora_alpha": -16}),
    "rslora_text": ("rslora_invalid", {"use_rslora": "false"}),
    "no_targets": ("targets_invalid", {"target_modules": None}),
    "no_base": ("base_missing", {"base_model_name_or_path": None}),
    "four_bit_base": ("quantisation_mismatch", {"base_model_name_or_path": "unsloth/tiny-instruct-bnb-4bit"}),
    "awq_base": ("quantisation_mismatch", {"base_model_name_or_path": "a/Tiny-Instruct-AWQ-INT4"}),
    "loaded_in_4bit": ("quantisation_mismatch", {"quantization_config": {"load_in_4bit": True}}),
    "rank_pattern_expression": ("pattern_not_plain", {"rank_pattern": {"(a+)+$": 4}}),
    "rank_pattern_text": ("pattern_invalid", {"rank_pattern": {"q_proj": "4"}}),
    "rank_pattern_list": ("pattern_invalid", {"rank_pattern": [4]}),
    "rank_pattern_lies": ("rank_mismatch", {"rank_pattern": {"layers.1.self_attn.q_proj": 4}}),
    "rank_pattern_high": ("rank_mismatch", {"rank_pattern": {"q_proj": 64}}),
    "rank_pattern_long": ("patterns_too_many", {"rank_pattern": {f"m{n}": 8 for n in range(1000)}}),
    "config_large": ("config_too_large", {"note": "x" * 70_000}),
    "wrong_base_name": ("base_mismatch", {"base_model_name_or_path": "meta-llama/Llama-3.1-8B"}),
    "huge_alpha": ("value_too_large", {"lora_alpha": 1e12}),
    "ia3": ("peft_type", {"peft_type": "IA3"}),
    "lying_rank": ("rank_mismatch", {"r": 4}),
    "dora": ("dora", {"use_dora": True}),
    "modules_to_save": ("modules_to_save", {"modules_to_save": ["lm_head"]}),
    "excluded": ("module_not_targeted", {"exclude_modules": ["v_proj"]}),
    "other_layers": ("module_not_targeted", {"layers_to_transform": [0, 1]}),
    # The engine reads `q.proj` as an expression and so applies it to q_proj.
    "pattern_past_the_bound": ("too_strong", {"alpha_pattern": {"q.proj": 50_000}}),
}


def set_fields(adapter: Adapter, base: BaseShape, *, changes: dict[str, Any]) -> None:
    adapter.config.update(changes)


for _name, (_code, _changes) in SETTINGS.items():
    add_kind(_name, _code, partial(set_fields, changes=_changes))


# Files are not what they claim to be.
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


def alter_first_entry(adapter: Adapter, base: BaseShape, *, changes: dict[str, Any]) -> bytes:
    """Return the file with the header's first entry altered."""
    header = entries(adapter.tensors)
    next(iter(header.values())).update(changes)
    return packed(json.dumps(header), _data(adapter))


def _data(adapter: Adapter) -> bytes:
    return b"".join(tensor.tobytes() for tensor in adapter.tensors.values())


def replace_content(adapter: Adapter, base: BaseShape, *, content: bytes) -> bytes:
    return content


for _name, (_code, _changes) in ENTRIES.items():
    add_kind(_name, _code, partial(alter_first_entry, changes=_changes))
for _name, (_code, _content) in CONTENTS.items():
    add_kind(_name, _code, partial(replace_content, content=_content))


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
    _, end = next(iter(entries(adapter.tensors).values()))["data_offsets"]
    return alter_first_entry(adapter, base, changes={"data_offsets": [-2, end - 2]})


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


# Names, shapes or weights are wrong in files that are well formed.
# A part of every tensor's name, and what stands there instead.
RENAMED = {
    "wrong_module_names": ("module_not_in_base", "q_proj", "query"),
    "absent_layers": ("layer_not_in_base", "layers.1.", "layers.1001."),
    "default_infix": ("name_infix", ".weight", ".default.weight"),
    "no_prefix": ("name_prefix", PREFIX, ""),
    "double_prefix": ("module_not_in_base", PREFIX, PREFIX * 2),
    "fused_names": ("module_not_in_base", "q_proj", "qkv_proj"),
}
# One tensor more, of ones. `{module}` is the first of the base.
ADDED = {
    "embedding": ("tensor_embedding", f"{PREFIX}model.embed_tokens.lora_embedding_A", (8, 1000)),
    "stranger": ("name_unknown", "lora_unet_down.alpha", (1,)),
    "full_weight": ("tensor_full", PREFIX + "{module}.weight", (2, 2)),
    "output_head": ("tensor_embedding", f"{PREFIX}lm_head.lora_A.weight", (8, 32)),
    "magnitude_vector": ("tensor_dora", PREFIX + "{module}.lora_magnitude_vector", (32,)),
    "bias_tensor": ("tensor_bias", PREFIX + "{module}.lora_B.bias", (32,)),
}


def rename_all(adapter: Adapter, base: BaseShape, *, before: str, after: str) -> None:
    rename_tensors(adapter, before, after)


def add_tensor(adapter: Adapter, base: BaseShape, *, tensor: str, shape: tuple[int, ...]) -> None:
    adapter.tensors[tensor.format(module=next(iter(base.modules)))] = np.ones(shape, "f4")


for _name, (_code, _before, _after) in RENAMED.items():
    add_kind(_name, _code, partial(rename_all, before=_before, after=_after))
for _name, (_code, _tensor, _shape) in ADDED.items():
    add_kind(_name, _code, partial(add_tensor, tensor=_tensor, shape=_shape))


def _scaled(base: BaseShape, factor: float) -> BaseShape:
    modules = {
        name: Linear(int(linear.rows * factor), int(linear.columns * factor), linear.norm)
        for name, linear in base.modules.items()
    }
    return BaseShape(base.name, base.config, modules)


@kind("shape")
def smaller_base(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = valid_adapter(_scaled(base, 0.5)).tensors


@kind("shape")
def larger_base(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = valid_adapter(_scaled(base, 2)).tensors


@kind("all_zero")
def zero_b(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 0)


@kind("not_finite")
def nan(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[first(adapter)].flat[3] = np.nan


@kind("value_too_large")
def huge_weights(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 1e9)


@kind("rank_too_high")
def rank_over_maximum(adapter: Adapter, base: BaseShape) -> None:
    bigger = valid_adapter(base, rank=512)
    adapter.config = bigger.config
    adapter.tensors = bigger.tensors


@kind("pair_incomplete")
def lonely(adapter: Adapter, base: BaseShape) -> None:
    del adapter.tensors[first(adapter)]


@kind("shape")
def swapped(adapter: Adapter, base: BaseShape) -> None:
    name = next(name for name in adapter.tensors if "up_proj.lora_A" in name)
    adapter.tensors[name] = adapter.tensors[name].T.copy()


@kind("shape")
def flat(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[first(adapter)] = adapter.tensors[first(adapter)].reshape(-1)


@kind("module_not_targeted")
def other_config(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["target_modules"].remove("v_proj")


@kind("not_finite")
def infinity(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[first(adapter, "A")].flat[-1] = -np.inf


@kind("all_zero")
def vanishing(adapter: Adapter, base: BaseShape) -> None:
    """Not zero in float32, but in the engine's bfloat16."""
    adapter.tensors[first(adapter)] = np.full(adapter.tensors[first(adapter)].shape, 1e-42, "f4")


@kind("value_too_large")
def beyond_half_precision(adapter: Adapter, base: BaseShape) -> None:
    """Finite in float32 and small as a product, infinite in 16 bits."""
    a = first(adapter, "A")
    b = first(adapter)
    adapter.tensors[a] = adapter.tensors[a].astype("f4") * np.float32(1e37)
    adapter.tensors[b] = adapter.tensors[b].astype("f4") * np.float32(1e-37)


@kind("too_strong")
def strong(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 1000)


@kind("factors_cancel")
def cancelling(adapter: Adapter, base: BaseShape) -> None:
    """A's rows are all alike and B's columns sum to almost nothing."""
    change(adapter, "A", lambda values: np.tile(values[:1], (len(values), 1)))
    change(adapter, "B", lambda values: np.where(np.arange(8) % 2, 100.0, -100.0) * np.ones_like(values))
