"""Read adapter_config.json: PEFT's LoraConfig, held against what vLLM serves.

The fields are those of PEFT 0.21's LoraConfig; what engines take is vLLM's `lora/peft_helper.py` (0.32): it
honours `use_rslora`, `rank_pattern` and `alpha_pattern`, and inits that leave the base's weights alone.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.validation.findings import Findings, plain
from adapters.validation.limits import CONFIG_LIMIT
from adapters.validation.problems import Reason
from adapters.validation.shapes import (
    LAYER,
    UNNAMED,
    BaseShape,
    split,
    state_message,
    state_of_config,
    state_of_words,
)
from adapters.validation.strict_json import DuplicateKey, NotJson, load

# What a config says of how its tensors are read: ranks, scales, and which modules were trained.


@dataclass(frozen=True)
class Settings:
    """The values of a config that decide how its tensors are read. None: unknown, after a finding."""

    rank: int | None = None
    alpha: float | None = None
    is_rank_stabilised: bool = False
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None  # None: an expression, which is not run; the tensors decide
    excluded: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None

    @property
    def highest_rank(self) -> int | None:
        """The highest rank of any module, which is what engines compare with their maximum."""
        return None if self.rank is None else max(self.rank, *self.ranks.values(), 0)

    def rank_of(self, module: str) -> int | None:
        """Return the rank that a module's tensors must have."""
        return _find_by_pattern(self.ranks, module) or self.rank

    def scale_of(self, module: str) -> float | None:
        """Return what B·A is multiplied with: alpha/r, or alpha/√r for rank-stabilised adapters."""
        rank = self.rank_of(module)
        alpha = _find_by_pattern(self.alphas, module) or self.alpha
        if rank is None or alpha is None:
            return None
        return alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)

    def exclusion_of(self, module: str) -> str:
        """Return the field that says a module was not trained, or ""."""
        if self.targets is not None and not _is_named(module, self.targets):
            return "target_modules"
        if _is_named(module, self.excluded):
            return "exclude_modules"
        layer = LAYER.search(module)
        if self.layers is not None and layer and int(layer[1]) not in self.layers:
            return "layers_to_transform"
        return ""


def _find_by_pattern[Number: (int, float)](numbers: dict[str, Number], module: str) -> Number | None:
    """Return the number of the first entry that matches a module.

    Exactly vLLM's rule, in which `.` stands for any character: a stricter one would let an alpha for `q.proj`
    pass by the norm bound.
    """
    for pattern, number in numbers.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return number
    return None


def _is_named(module: str, names: tuple[str, ...]) -> bool:
    """Return whether a list of whole or last names has a module."""
    return module in names or module.endswith(tuple(f".{name}" for name in names))


# Inits that only choose where training starts; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base.
PLAIN_INITS = {"gaussian", "eva", "orthogonal", "mica"}
# Entries of each pattern: the engine makes regular expressions of both and keeps 500 compiled ones.
PATTERN_LIMIT = 240
PLAIN_PATTERN = re.compile(r"\^?[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")

UNSUPPORTED = {  # field → code; each is refused when it is set to anything
    "use_dora": "dora",
    "alora_invocation_tokens": "alora",
    "lora_bias": "lora_bias",
    "modules_to_save": "modules_to_save",
    "layer_replication": "layer_replication",
    "use_qalora": "qalora",
    "use_bdlora": "bdlora",
    "kasa_config": "kasa",
    "monteclora_config": "monteclora",
    "arrow_config": "arrow",
    "target_parameters": "target_parameters",
    "trainable_token_indices": "trainable_tokens",
    "fan_in_fan_out": "fan_in_fan_out",
}
KNOWN_SWITCHES = {"use_rslora", *UNSUPPORTED}


def read_config(
    data: bytes, *, base: BaseShape, max_rank: int, stated_quantisation: str, findings: Findings
) -> Settings:
    """Return a config's settings; what is wrong with it goes to `findings`."""
    config = _parse_object(data, findings)
    if config is None:
        return Settings()
    _check_kind(config, findings)
    _check_base(config, base=base, stated_quantisation=stated_quantisation, findings=findings)
    _check_features(config, base=base, findings=findings)
    settings = _read_settings(config, findings)
    if settings.highest_rank is not None and settings.highest_rank > max_rank:
        findings.add("rank_too_high", rank=settings.highest_rank, limit=max_rank)
    return settings


def _parse_object(data: bytes, findings: Findings) -> dict[str, Any] | None:
    if len(data) > CONFIG_LIMIT:
        findings.add("config_too_large", size=len(data), limit=CONFIG_LIMIT)
        return None
    try:
        config = load(data)
    except DuplicateKey as error:
        findings.add("config_duplicate", name=str(error))
        return None
    except NotJson as error:
        findings.add("config_not_json", reason=error.reason)
        return None
    if not isinstance(config, dict):
        findings.add("config_not_json", reason=Reason.OTHER_JSON())
        return None
    return config


def _check_kind(config: dict[str, Any], findings: Findings) -> None:
    if config.get("peft_type") != "LORA":
        findings.add("peft_type", value=config.get("peft_type"))
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        findings.add("task_type", value=config["task_type"])


def _check_base(
    config: dict[str, Any], *, base: BaseShape, stated_quantisation: str, findings: Findings
) -> None:
    """Compare the base's name (its last part, any case) and the state its weights were in."""
    path = config.get("base_model_name_or_path")
    served, state_in_name = split(last_part(base.name))
    served_state = base.quantisation or state_in_name
    if not isinstance(path, str) or not path.strip():
        findings.add("base_missing", base=base.name)
        return
    trained, state_in_name = split(last_part(path))
    trained_state = _trained_state(config, stated_quantisation, state_in_name=state_in_name)
    if trained.lower() != served.lower():
        findings.add("base_mismatch", name=path, base=base.name)
    if trained_state.lower() != served_state.lower():
        findings.add(
            "quantisation_mismatch",
            base=served,
            trained=state_message(trained_state),
            served=state_message(served_state),
        )


def last_part(path: str) -> str:
    """Return a model's own name from a hub id, a folder or a hub's cache (`models--owner--NAME/…`)."""
    parts = [part for part in re.split(r"[/\\]", path.strip()) if part]
    for part in parts:
        if part.startswith("models--"):
            return part.rsplit("--", 1)[-1]
    return parts[-1] if parts else ""


def _trained_state(config: dict[str, Any], stated_words: str, *, state_in_name: str) -> str:
    """Return the quantisation of the base trained on, or "".

    An uploader who states none may not know what the files show.
    """
    stated = state_of_words(stated_words)
    if stated not in ("", UNNAMED):
        return stated
    if config.get("loftq_config") or config.get("load_in_4bit"):
        return state_of_words("4-bit")
    return state_of_config(config.get("quantization_config")) or state_in_name or stated


def _check_features(config: dict[str, Any], *, base: BaseShape, findings: Findings) -> None:
    """Report features that change what an adapter means and that engines ignore."""
    for name, code in UNSUPPORTED.items():
        if config.get(name):
            findings.add(code, value=config[name], base=base.name)
    if config.get("bias", "none") != "none":  # vLLM refuses null and false as well
        findings.add("bias", value=config["bias"])
    init = config.get("init_lora_weights")
    is_plain = init is None or isinstance(init, bool) or str(init).lower() in PLAIN_INITS
    if not is_plain:
        findings.add("init_changes_base", value=init)
    for name, value in config.items():
        if value and name.startswith("use_") and name not in KNOWN_SWITCHES:
            findings.add("feature_unknown", name=name)


def _read_settings(config: dict[str, Any], findings: Findings) -> Settings:
    stabilised = config.get("use_rslora", False)
    if not isinstance(stabilised, bool):
        findings.add("rslora_invalid", value=_quote_text(stabilised))
    return Settings(
        rank=_read_rank(config.get("r"), findings),
        alpha=_read_alpha(config.get("lora_alpha"), findings),
        is_rank_stabilised=stabilised is True,
        ranks=_read_pattern(config, "rank_pattern", _as_rank, findings),
        alphas=_read_pattern(config, "alpha_pattern", _as_alpha, findings),
        targets=_read_targets(config.get("target_modules"), findings),
        excluded=names_in(config.get("exclude_modules")) or (),
        layers=_read_layers(config.get("layers_to_transform")),
    )


def _read_rank(value: object, findings: Findings) -> int | None:
    rank = _as_rank(value)
    if rank is None:
        findings.add("rank_invalid", value=_quote_text(value))
    return rank


def _read_alpha(value: object, findings: Findings) -> float | None:
    alpha = _as_alpha(value)
    if alpha is None:
        findings.add("alpha_invalid", value=_quote_text(value))
    return alpha


def _quote_text(value: object) -> object:
    """Return a value so that the text "8" differs from the number 8."""
    return f"“{value}”" if isinstance(value, str) else value


def _as_rank(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 2**31 else None


def _as_alpha(value: object) -> float | None:
    if type(value) is int and 0 < value < 2**63:
        return float(value)
    return value if type(value) is float and 0 < value < math.inf else None


def _read_pattern[Number: (int, float)](
    config: dict[str, Any], name: str, as_number: Callable[[object], Number | None], findings: Findings
) -> dict[str, Number]:
    """Return rank_pattern or alpha_pattern; entries that can't be used go to `findings`."""
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict):
        findings.add("pattern_invalid", field=name, name=plain(pattern))
        return {}
    if len(pattern) > PATTERN_LIMIT:
        findings.add("patterns_too_many", field=name, count=len(pattern), limit=PATTERN_LIMIT)
        return {}
    numbers: dict[str, Number] = {}
    for key, value in pattern.items():
        number = as_number(value)
        if not PLAIN_PATTERN.fullmatch(key):
            findings.add("pattern_not_plain", field=name, name=key)
        elif number is None:
            findings.add("pattern_invalid", field=name, name=key)
        else:
            numbers[key] = number
    return numbers


def _read_targets(value: object, findings: Findings) -> tuple[str, ...] | None:
    """Return the trained modules' names; None for an expression, for a stranger's may run forever."""
    if isinstance(value, str) and value:
        return None
    names = names_in(value)
    if not names:
        findings.add("targets_invalid")
        return None
    return names


def names_in(value: object) -> tuple[str, ...] | None:
    """Return a list of names from JSON, or None for anything else."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None


def _read_layers(value: object) -> tuple[int, ...] | None:
    layers: list[Any] = value if isinstance(value, list) else [value]
    return tuple(layers) if layers and all(type(layer) is int for layer in layers) else None
