"""Makes adapters, whole and broken in every way that is known, on any base; its own writer can lie.

`make(kind, folder, base)` writes one of KINDS into a folder; `CODES[kind]` is the finding it must lead to.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from adapters.validation import BaseShape, Linear

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
NAMES = {np.dtype(kind): name for kind, name in (("f8", "F64"), ("f4", "F32"), ("f2", "F16"))}
NAMES[np.dtype(ml_dtypes.bfloat16)] = "BF16"
LAYERS, HIDDEN, INNER = 3, 32, 48
WIDTHS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (16, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}


@dataclass
class Adapter:
    """An adapter in parts, to be broken before it is written."""

    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] | None = field(default_factory=lambda: {"format": "pt"})

    @property
    def config_bytes(self) -> bytes:
        return json.dumps(self.config).encode()

    @property
    def weights(self) -> bytes:
        return safetensors(self.tensors, metadata=self.metadata)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_bytes(self.config_bytes)
        (folder / WEIGHTS).write_bytes(self.weights)


def tiny_base(name: str = "Tiny-Instruct", layers: int = LAYERS) -> BaseShape:
    """Return a base model of three small layers whose weights all have norm 20."""
    modules = {
        f"model.layers.{layer}.{module}": Linear(rows, columns, norm=20.0)
        for layer in range(layers)
        for module, (rows, columns) in WIDTHS.items()
    }
    return BaseShape(name, {"model_type": "llama", "dtype": "bfloat16", "vocab_size": 1000}, modules)


def whole(base: BaseShape, *, rank: int = 8, dtype: Any = ml_dtypes.bfloat16, seed: int = 1) -> Adapter:
    """Return a valid adapter on every module of a base: A as PEFT begins it, B small."""
    dice = np.random.default_rng(seed)
    tensors = {}
    for module, linear in base.modules.items():
        a = dice.uniform(-1, 1, (rank, linear.columns)) / np.sqrt(linear.columns)
        b = dice.normal(0, 0.01, (linear.rows, rank))
        tensors[f"{PREFIX}{module}.lora_A.weight"] = a.astype(dtype)
        tensors[f"{PREFIX}{module}.lora_B.weight"] = b.astype(dtype)
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


def entries(tensors: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the header's entries for tensors laid one after the other."""
    position, header = 0, {}
    for name, tensor in tensors.items():
        end = position + tensor.nbytes
        header[name] = {
            "dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [position, end]
        }  # fmt: skip
        position = end
    return header


def safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, Any] | None = None) -> bytes:
    """Return a whole file."""
    header = ({"__metadata__": metadata} if metadata else {}) | entries(tensors)
    return packed(json.dumps(header), b"".join(tensor.tobytes() for tensor in tensors.values()))


def packed(header: str | bytes, data: bytes, claimed: int | None = None) -> bytes:
    """Return header and data behind a length field, which may claim something else."""
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text + data


# Each kind changes a whole adapter in place, or returns the bytes of a weights file that is none.
Breaker = Callable[[Adapter, BaseShape], bytes | None]
KINDS: dict[str, Breaker] = {}
CODES: dict[str, str] = {}


def kind(code: str) -> Callable[[Breaker], Breaker]:
    """Register a way to break an adapter and the finding that it must lead to."""

    def register(breaker: Breaker) -> Breaker:
        name = breaker.__name__.strip("_")
        KINDS[name], CODES[name] = breaker, code
        return breaker

    return register


def make(name: str, folder: Path, base: BaseShape) -> None:
    """Write a broken adapter into a folder."""
    adapter = whole(base)
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


def change(adapter: Adapter, side: str, values: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change all factors of one side, each in its own type."""
    for name, tensor in adapter.tensors.items():
        if f".lora_{side}." in name:
            adapter.tensors[name] = values(tensor.astype("f8")).astype(tensor.dtype)


def renamed(adapter: Adapter, before: str, after: str) -> None:
    adapter.tensors = {name.replace(before, after): tensor for name, tensor in adapter.tensors.items()}


# The nineteen that were tried on vLLM.


@kind("base_mismatch")
def wrong_base_name(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["base_model_name_or_path"] = "meta-llama/Llama-3.1-8B"


def _scaled(base: BaseShape, factor: float) -> BaseShape:
    modules = {
        name: Linear(int(linear.rows * factor), int(linear.columns * factor), linear.norm)
        for name, linear in base.modules.items()
    }
    return BaseShape(base.name, base.config, modules)


@kind("shape")
def smaller_base(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = whole(_scaled(base, 0.5)).tensors


@kind("shape")
def larger_base(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = whole(_scaled(base, 2)).tensors


@kind("module_not_in_base")
def wrong_module_names(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, "q_proj", "query")


@kind("all_zero")
def zero_b(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 0)


@kind("not_finite")
def nan(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[first(adapter)].flat[3] = np.nan


@kind("value_too_large")
def huge_weights(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 1e9)


@kind("value_too_large")
def huge_alpha(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["lora_alpha"] = 1e12


@kind("peft_type")
def ia3(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["peft_type"] = "IA3"


@kind("layer_not_in_base")
def absent_layers(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, "layers.1.", "layers.1001.")


@kind("tensor_embedding")
def embedding(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}model.embed_tokens.lora_embedding_A"] = np.ones((8, 1000), ml_dtypes.bfloat16)


@kind("rank_mismatch")
def lying_rank(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["r"] = 4


@kind("rank_too_high")
def rank_over_maximum(adapter: Adapter, base: BaseShape) -> None:
    bigger = whole(base, rank=512)
    adapter.config, adapter.tensors = bigger.config, bigger.tensors


@kind("dora")
def dora(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["use_dora"] = True


@kind("modules_to_save")
def modules_to_save(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["modules_to_save"] = ["lm_head"]


@kind("file_truncated")
def truncated(adapter: Adapter, base: BaseShape) -> bytes:
    return adapter.weights[:-100]


@kind("header_too_long")
def header_bomb(adapter: Adapter, base: BaseShape) -> bytes:
    return packed("{" + " " * (9 * 1024 * 1024) + "}", b"")


@kind("config_not_json")
def config_broken(adapter: Adapter, base: BaseShape) -> None:
    """`make` cuts the config."""


@kind("file_missing")
def config_absent(adapter: Adapter, base: BaseShape) -> None:
    """`make` removes the config."""


# Files that are not what they claim.


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
    adapter.tensors = whole(base, dtype=np.float64).tensors


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


# Names, shapes and weights.


@kind("name_infix")
def default_infix(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, ".weight", ".default.weight")


@kind("name_prefix")
def no_prefix(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, PREFIX, "")


@kind("module_not_in_base")
def double_prefix(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, PREFIX, PREFIX * 2)


@kind("module_not_in_base")
def fused_names(adapter: Adapter, base: BaseShape) -> None:
    renamed(adapter, "q_proj", "qkv_proj")


@kind("name_unknown")
def stranger(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors["lora_unet_down.alpha"] = np.ones((1,), "f4")


@kind("tensor_full")
def full_weight(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}{next(iter(base.modules))}.weight"] = np.ones((2, 2), "f4")


@kind("tensor_embedding")
def output_head(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}lm_head.lora_A.weight"] = np.ones((8, 32), "f4")


@kind("tensor_dora")
def magnitude_vector(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}{next(iter(base.modules))}.lora_magnitude_vector"] = np.ones((32,), "f4")


@kind("tensor_bias")
def bias_tensor(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}{next(iter(base.modules))}.lora_B.bias"] = np.ones((32,), "f4")


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


@kind("module_not_targeted")
def excluded(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["exclude_modules"] = ["v_proj"]


@kind("module_not_targeted")
def other_layers(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["layers_to_transform"] = [0, 1]


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
    a, b = first(adapter, "A"), first(adapter)
    adapter.tensors[a] = adapter.tensors[a].astype("f4") * np.float32(1e37)
    adapter.tensors[b] = adapter.tensors[b].astype("f4") * np.float32(1e-37)


@kind("too_strong")
def strong(adapter: Adapter, base: BaseShape) -> None:
    change(adapter, "B", lambda values: values * 1000)


@kind("too_strong")
def pattern_past_the_bound(adapter: Adapter, base: BaseShape) -> None:
    """The engine reads `q.proj` as an expression and so applies it to q_proj."""
    adapter.config["alpha_pattern"] = {"q.proj": 50_000}


@kind("factors_cancel")
def cancelling(adapter: Adapter, base: BaseShape) -> None:
    """A's rows are all alike and B's columns sum to almost nothing."""
    change(adapter, "A", lambda values: np.tile(values[:1], (len(values), 1)))
    change(adapter, "B", lambda values: np.where(np.arange(8) % 2, 100.0, -100.0) * np.ones_like(values))


# Configs.

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
    "rank_pattern_high": ("rank_too_high", {"rank_pattern": {"q_proj": 64}}),
    "rank_pattern_long": ("patterns_too_many", {"rank_pattern": {f"m{n}": 8 for n in range(1000)}}),
    "config_large": ("config_too_large", {"note": "x" * 70_000}),
}


def _setting(code: str, changes: dict[str, Any]) -> Breaker:
    def breaker(adapter: Adapter, base: BaseShape) -> None:
        adapter.config.update(changes)

    return breaker


for _name, (_code, _changes) in SETTINGS.items():
    KINDS[_name], CODES[_name] = _setting(_code, _changes), _code


def _data(adapter: Adapter) -> bytes:
    return b"".join(tensor.tobytes() for tensor in adapter.tensors.values())


def _with_entry(adapter: Adapter, alter: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with the header's first entry altered."""
    header = entries(adapter.tensors)
    alter(next(iter(header.values())))
    return packed(json.dumps(header), _data(adapter))
