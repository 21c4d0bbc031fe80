"""Mutations of adapter_config.json: every field that PEFT knows, with values right, wrong and absurd."""

from typing import Any

from labs.broken_adapters.parts import Dice, Parts

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
NAMES = [*NAMES_OF_HUBS, *NAMES_OF_FORMS, *NAMES_WITH_SIGNS, *NAMES_WITH_MORE]
WORDS = ("q_proj", "v_proj", "mlp", "self_attn.q_proj", "layers.0.mlp.up_proj", "lm_head", "")
PLAIN_EXPRESSIONS = ("{}", "{}", "{}", "^{}", "{}$", ".*{}", "(a+)+{}", "{}.", ".{}")
EXPRESSIONS = (*PLAIN_EXPRESSIONS, "[", "{}\n", "é{}", "{}|.*", "{}{{1,9}}")
UNKNOWN = ("use_newlora", "use_", "x", "", "é", "\ud800", "__class__", "self", "r ", "R", "a" * 9000)


def set_field(parts: Parts, dice: Dice) -> None:
    """Set a field that PEFT knows to something that is seen there."""
    name = dice.choice(list(FIELDS))
    parts.config[name] = dice.choice(FIELDS[name])


def set_rank(parts: Parts, dice: Dice) -> None:
    """Let r say something else than the tensors."""
    parts.config["r"] = dice.choice(FIELDS["r"])


def set_alpha(parts: Parts, dice: Dice) -> None:
    """Scale lora_alpha far up or down."""
    parts.config["lora_alpha"] = 16 * dice.choice([dice.magnitude(-6, 12), dice.magnitude(-2, 1)])


def stabilise(parts: Parts, dice: Dice) -> None:
    """Say that the adapter is rank-stabilised."""
    parts.config["use_rslora"] = True


def set_odd_value(parts: Parts, dice: Dice) -> None:
    """Set any field to a value of any kind."""
    parts.config[dice.choice([*FIELDS, *parts.config, "target_modules"])] = dice.choice(ODD)


def set_unknown_field(parts: Parts, dice: Dice) -> None:
    """Add a field that nobody knows."""
    parts.config[dice.choice(UNKNOWN)] = dice.choice(ODD)


def drop_field(parts: Parts, dice: Dice) -> None:
    """Leave a field out."""
    parts.config.pop(dice.choice(list(parts.config)))


def set_targets(parts: Parts, dice: Dice) -> None:
    """Name other target modules, or name them otherwise."""
    kinds = sorted({module.rsplit(".", 1)[-1] for module in parts.modules()})
    endings = [module.split(".", 1)[-1] for module in parts.modules()]
    parts.config["target_modules"] = dice.choice([*TARGETS, parts.modules(), endings, kinds[1:], kinds * 2])


def set_base_name(parts: Parts, dice: Dice) -> None:
    """Spell the base model's name otherwise, or name another."""
    name = dice.choice([parts.base.name, parts.base.name.upper()])
    parts.config["base_model_name_or_path"] = dice.choice(NAMES).format(base=name)


def add_rank_pattern(parts: Parts, dice: Dice) -> None:
    """Give rank_pattern entries that the tensors may not know."""
    ranks = [8, parts.config.get("r"), 16, 17, 0, 2**31, "8", 8.0, None, True]
    parts.config["rank_pattern"] = {_key(dice): dice.choice(ranks) for _ in range(dice.choice([1, 1, 2, 9]))}


def add_alpha_pattern(parts: Parts, dice: Dice) -> None:
    """Give single modules a scale of their own."""
    alphas = [dice.magnitude(-6, 12), dice.magnitude(-1, 2), 16, 0, -1, "16", None]
    keys = [_key(dice), *dice.some(parts.modules() or WORDS, 3)]
    parts.config["alpha_pattern"] = {key: dice.choice(alphas) for key in dice.some(keys)}


def add_many_patterns(parts: Parts, dice: Dice) -> None:
    """Give many entries, few of which matter."""
    count = dice.choice([100, 240, 241, 1000])
    numbers = {f"absent{number}": 8 for number in range(count)}
    parts.config[dice.choice(["rank_pattern", "alpha_pattern"])] = numbers


def pad_config(parts: Parts, dice: Dice) -> None:
    """Make the config large, by a text or by many names."""
    absent = [f"absent{number}" for number in range(dice.choice([100, 3000, 5000]))]
    targets = [*absent, *sorted({module.rsplit(".", 1)[-1] for module in parts.base.modules})]
    notes = [("note", "x" * 40_000), ("note", "x" * 70_000)]
    field, value = dice.choice([*notes, ("target_modules", targets), ("exclude_modules", absent)])
    parts.config[field] = value


def _key(dice: Dice) -> str:
    return dice.choice(EXPRESSIONS).format(dice.choice(WORDS))


FIELD_MUTATIONS = [
    set_field,
    set_field,
    set_field,
    set_rank,
    set_alpha,
    stabilise,
    set_odd_value,
    set_odd_value,
]
NAME_MUTATIONS = [set_unknown_field, drop_field, set_targets, set_base_name]
PATTERN_MUTATIONS = [add_rank_pattern, add_alpha_pattern, add_many_patterns, pad_config]
MUTATIONS = [*FIELD_MUTATIONS, *NAME_MUTATIONS, *PATTERN_MUTATIONS]
