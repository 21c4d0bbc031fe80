"""Adapters whose configs, names, shapes or weights are wrong: their files are well formed."""

import ml_dtypes
import numpy as np

from adapters.validation import BaseShape, Linear
from labs.broken_adapters.parts import PREFIX, Adapter
from labs.broken_adapters.registry import change, first, kind, rename_tensors
from labs.broken_adapters.valid import valid_adapter

# vLLM itself was tried with these.


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
    adapter.tensors = valid_adapter(_scaled(base, 0.5)).tensors


@kind("shape")
def larger_base(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors = valid_adapter(_scaled(base, 2)).tensors


@kind("module_not_in_base")
def wrong_module_names(adapter: Adapter, base: BaseShape) -> None:
    rename_tensors(adapter, "q_proj", "query")


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
    rename_tensors(adapter, "layers.1.", "layers.1001.")


@kind("tensor_embedding")
def embedding(adapter: Adapter, base: BaseShape) -> None:
    adapter.tensors[f"{PREFIX}model.embed_tokens.lora_embedding_A"] = np.ones((8, 1000), ml_dtypes.bfloat16)


@kind("rank_mismatch")
def lying_rank(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["r"] = 4


@kind("rank_too_high")
def rank_over_maximum(adapter: Adapter, base: BaseShape) -> None:
    bigger = valid_adapter(base, rank=512)
    adapter.config = bigger.config
    adapter.tensors = bigger.tensors


@kind("dora")
def dora(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["use_dora"] = True


@kind("modules_to_save")
def modules_to_save(adapter: Adapter, base: BaseShape) -> None:
    adapter.config["modules_to_save"] = ["lm_head"]


# Names, shapes and weights.


@kind("name_infix")
def default_infix(adapter: Adapter, base: BaseShape) -> None:
    rename_tensors(adapter, ".weight", ".default.weight")


@kind("name_prefix")
def no_prefix(adapter: Adapter, base: BaseShape) -> None:
    rename_tensors(adapter, PREFIX, "")


@kind("module_not_in_base")
def double_prefix(adapter: Adapter, base: BaseShape) -> None:
    rename_tensors(adapter, PREFIX, PREFIX * 2)


@kind("module_not_in_base")
def fused_names(adapter: Adapter, base: BaseShape) -> None:
    rename_tensors(adapter, "q_proj", "qkv_proj")


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
    a = first(adapter, "A")
    b = first(adapter)
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
