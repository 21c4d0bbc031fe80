"""Adapters whose config asks for what can't be served."""

from typing import Any

from adapters.validation import BaseShape
from labs.broken_adapters.parts import Adapter
from labs.broken_adapters.registry import kind

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


def _register(name: str, code: str, changes: dict[str, Any]) -> None:
    @kind(code, name=name)
    def set_fields(adapter: Adapter, base: BaseShape) -> None:
        adapter.config.update(changes)


for _name, (_code, _changes) in SETTINGS.items():
    _register(_name, _code, _changes)
