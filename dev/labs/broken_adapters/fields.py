"""What people, tools and later versions of PEFT write into adapter_config.json, right, wrong and absurd."""

from typing import Any

ODD_NUMBERS = [0, 1, -1, 0.5, -0.0, 1e308, 1e-320, 2**31, 2**63, 10**300]
ODD_TEXTS = ["", "x", "8", "none", "NaN", "\x00", "\u202e", "é" * 200, "true"]
ODD_LISTS: list[Any] = [[], {}, [[]], [None], [0], ["q_proj"]]
ODD_OBJECTS: list[Any] = [{"": 0}, {"q_proj": 8}, {"q_proj": None}, {"a": {"b": {"c": []}}}, ["\ud800"]]
ODD: list[Any] = [None, True, False, *ODD_NUMBERS, *ODD_TEXTS, *ODD_LISTS, *ODD_OBJECTS]
INITIAL_WEIGHTS = ["gaussian", "EVA", "orthogonal", "mica", "pissa", "pissa_niter_16", "olora"]
CHANGING_WEIGHTS = ["corda", "loftq", "lora_ga", "unknown"]
EXCLUDED_NAMES = ["lm_head", ["lm_head"], ["q_proj"], r".*layers\.0\..*", ["model.layers.0.mlp.up_proj"]]

# What people, tools and later versions of PEFT write there.
FIELDS: dict[str, list[Any]] = {
    "peft_type": ["LORA", "lora", "IA3", "ADALORA", "LOHA", "LOKR", "VERA", "BOFT", "OFT", "XLORA"],
    "task_type": [None, "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS", "SEQ_2_SEQ_LM", "causal_lm"],
    "peft_version": ["0.3.0", "0.13.2", "0.21.2", "9.9.9.dev0", None],
    "inference_mode": [True, False, None],
    "revision": [None, "main", "refs/pr/1"],
    "auto_mapping": [None, {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers"}],
    "r": [1, 2, 4, 8, 12, 16, 17, 32, 64, 512, 0, -8, 8.0, "8", True, None, 2**31 - 1, 10**18],
    "lora_alpha": [1, 8, 16, 32, 0.25, 128, 1024, 0, -16, "16", None, True, 1e-12, 1e12, 2**63 - 1, 1e-320],
    "lora_dropout": [0.0, 0.05, 0.5, 1.0, -1, "0.1", None],
    "bias": ["none", "all", "lora_only", "None", None, False],
    "fan_in_fan_out": [False, True, None, 0, 1],
    "use_rslora": [False, True, None, 1, "true"],
    "use_dora": [False, True, None, 0, "false"],
    "use_qalora": [False, True],
    "use_bdlora": [None, {"nblocks": 2}, False],
    "lora_bias": [False, True, None],
    "qalora_group_size": [16, 0, None],
    "modules_to_save": [None, [], ["lm_head"], ["classifier", "score"], "lm_head"],
    "init_lora_weights": [True, False, None, *INITIAL_WEIGHTS, *CHANGING_WEIGHTS],
    "layers_to_transform": [None, [], 0, 3, [0, 1, 2], list(range(100)), [-1], ["0"], [0.0], True],
    "layers_pattern": [None, "layers", ["layers", "h"], "", "(a+)+$"],
    "exclude_modules": [None, [], *EXCLUDED_NAMES],
    "target_parameters": [None, [], ["mlp.experts.gate_up_proj"]],
    "trainable_token_indices": [None, [], [1, 2], {"embed_tokens": [1]}],
    "layer_replication": [None, [], [[0, 4], [2, 5]]],
    "alora_invocation_tokens": [None, [], [1, 2, 3]],
    "loftq_config": [{}, None, {"loftq_bits": 4}],
    "eva_config": [None, {"rho": 2.0, "tau": 0.99}],
    "corda_config": [None, {"corda_method": "kpm"}],
    "lora_ga_config": [None, {"direction": "ArB2r"}],
    "velora_config": [None, {"num_groups": 4}],
    "kasa_config": [None, {"beta": 0.1}],
    "monteclora_config": [None, {"num_samples": 4}],
    "arrow_config": [None, {"top_k": 3}],
    "runtime_config": [None, {"ephemeral_gpu_offload": True}],
    "megatron_config": [None, {"a": 1}],
    "megatron_core": ["megatron.core", None],
    "ensure_weight_tying": [False, True],
    "quantization_config": [None, {}, {"load_in_4bit": True}, {"load_in_8bit": 1}, {"quant_method": "awq"}],
    "load_in_4bit": [False, True],
    "vllm_lora_scaling_factor": [1e12, 0, "x", None],
    "vllm_max_position_embeddings": [1, 10**9, None],
}
TARGET_TEXTS = ["all-linear", r".*_proj", r"model\.layers\.\d+\..*", "(a|a)*$", ""]
TARGET_LISTS: list[Any] = [
    ["q_proj"],
    ["q_proj", "v_proj"],
    ["lm_head"],
    ["embed_tokens", "q_proj"],
    ["Q_PROJ"],
]
TARGET_FAULTS: list[Any] = [[""], ["q_proj", 1], {"q_proj": True}, [["q_proj"]]]
TARGETS: list[Any] = [*TARGET_TEXTS, [], None, *TARGET_LISTS, *TARGET_FAULTS]
NAMES_OF_HUBS = ["{base}", "somebody/{base}", "/models/{base}/", "models--a--{base}/snapshots/0a1b"]
NAMES_OF_FORMS = [r"C:\models\{base}", "{base}-bnb-4bit", "{base}-AWQ", "{base}-FP8"]
NAMES_WITH_SIGNS = ["  {base}  ", "{base}/", "//{base}//", "{base}-4-bit", "", " ", "/", "Llama-3.1-8B"]
NAMES_WITH_MORE = ["{base}\x00", "{base}{base}", "-{base}", "{base}-", "_" * 50_000]
BASE_NAMES = [*NAMES_OF_HUBS, *NAMES_OF_FORMS, *NAMES_WITH_SIGNS, *NAMES_WITH_MORE]
PATTERN_NAMES = ("q_proj", "v_proj", "mlp", "self_attn.q_proj", "layers.0.mlp.up_proj", "lm_head", "")
PLAIN_EXPRESSIONS = ("{}", "{}", "{}", "^{}", "{}$", ".*{}", "(a+)+{}", "{}.", ".{}")
EXPRESSIONS = (*PLAIN_EXPRESSIONS, "[", "{}\n", "é{}", "{}|.*", "{}{{1,9}}")
UNKNOWN = ("use_newlora", "use_", "x", "", "é", "\ud800", "__class__", "self", "r ", "R", "a" * 9000)
RANKS: list[Any] = [8, 16, 17, 0, 2**31, "8", 8.0, None, True]
ALPHAS: list[Any] = [1e-6, 0.1, 2, 16, 80, 1e6, 1e12, 0, -1, "16", None]
