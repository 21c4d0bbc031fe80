"""Adapters whose configs, names, shapes or weights are wrong: their files are well formed."""

import numpy as np

from adapters.validation import BaseShape, Linear
from labs.broken_adapters.parts import PREFIX, Adapter
from labs.broken_adapters.registry import change, first, kind, rename_tensors
from labs.broken_adapters.valid import valid_adapter

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


def _register_renamed(name: str, code: str, before: str, after: str) -> None:
    @kind(code, name=name)
    def rename(adapter: Adapter, base: BaseShape) -> None:
        rename_tensors(adapter, before, after)


def _register_added(name: str, code: str, tensor: str, shape: tuple[int, ...]) -> None:
    @kind(code, name=name)
    def add(adapter: Adapter, base: BaseShape) -> None:
        adapter.tensors[tensor.format(module=next(iter(base.modules)))] = np.ones(shape, "f4")


for _name, (_code, _before, _after) in RENAMED.items():
    _register_renamed(_name, _code, _before, _after)
for _name, (_code, _tensor, _shape) in ADDED.items():
    _register_added(_name, _code, _tensor, _shape)


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
