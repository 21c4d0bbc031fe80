"""adapter_config.json: PEFT's LoraConfig, held against what vLLM serves.

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
from adapters.validation.quantisation import UNNAMED, split, state_of_config, state_of_words
from adapters.validation.shapes import LAYER, BaseShape
from adapters.validation.strict_json import DuplicateKey, NotJson, load

# Inits that only choose where training starts; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change the base.
PLAIN_INITS = {"gaussian", "eva", "orthogonal", "mica"}
PATTERN_LIMIT = 240  # each; the engine makes regular expressions of both patterns and keeps 500 compiled ones
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


@dataclass(frozen=True)
class Settings:
    """What of a config decides how its tensors are read. None: unknown, after a finding."""

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
        return _matching(self.ranks, module) or self.rank

    def scale_of(self, module: str) -> float | None:
        """Return what B·A is multiplied with: alpha/r, or alpha/√r for rank-stabilised adapters."""
        rank, alpha = self.rank_of(module), _matching(self.alphas, module) or self.alpha
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


def read_config(
    data: bytes, *, base: BaseShape, max_rank: int, stated_quantisation: str, findings: Findings
) -> Settings:
    """Return a config's settings; what is wrong with it goes to `findings`."""
    config = _object(data, findings)
    if config is None:
        return Settings()
    _check_kind(config, findings)
    _check_base(config, base=base, stated_quantisation=stated_quantisation, findings=findings)
    _check_features(config, base=base, findings=findings)
    settings = _settings(config, findings)
    if settings.highest_rank is not None and settings.highest_rank > max_rank:
        findings.add("rank_too_high", rank=settings.highest_rank, limit=max_rank)
    return settings


def _object(data: bytes, findings: Findings) -> dict[str, Any] | None:
    if len(data) > CONFIG_LIMIT:
        findings.add("config_too_large", size=len(data), limit=CONFIG_LIMIT)
        return None
    try:
        config = load(data)
    except DuplicateKey as error:
        findings.add("config_duplicate", name=str(error))
        return None
    except NotJson as error:
        findings.add("config_not_json", reason=str(error))
        return None
    if not isinstance(config, dict):
        findings.add("config_not_json", reason="it is another kind of JSON")
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
    served, served_state = split(last_part(base.name))
    served_state = base.quantisation or served_state
    if not isinstance(path, str) or not path.strip():
        findings.add("base_missing", base=base.name)
        return
    trained, trained_state = split(last_part(path))
    trained_state = _trained_state(config, stated_quantisation, of_name=trained_state)
    if trained.lower() != served.lower():
        findings.add("base_mismatch", name=path, base=base.name)
    if trained_state.lower() != served_state.lower():
        findings.add(
            "quantisation_mismatch",
            base=served,
            trained=trained_state or "full precision",
            served=served_state or "full precision",
        )


def last_part(path: str) -> str:
    """Return a model's own name from a hub id, a folder or a hub's cache (`models--owner--NAME/…`)."""
    parts = [part for part in re.split(r"[/\\]", path.strip()) if part]
    cached = [part.rsplit("--", 1)[-1] for part in parts if part.startswith("models--")]
    return (cached or parts or [""])[-1]


def _trained_state(config: dict[str, Any], stated: str, *, of_name: str) -> str:
    """Return the quantisation of the base trained on, or "". Who states none may not know what files show."""
    of_words = state_of_words(stated)
    of_config = state_of_config(config.get("quantization_config"))
    if config.get("loftq_config") or config.get("load_in_4bit"):
        of_config = state_of_words("4-bit")
    of_files = of_config or of_name
    return of_files if of_words in ("", UNNAMED) and of_files else of_words


def _check_features(config: dict[str, Any], *, base: BaseShape, findings: Findings) -> None:
    """Refuse what changes an adapter's meaning and engines leave out."""
    for name, code in UNSUPPORTED.items():
        if config.get(name):
            findings.add(code, value=config[name], base=base.name)
    if config.get("bias", "none") != "none":  # vLLM refuses null and false as well
        findings.add("bias", value=config["bias"])
    init = config.get("init_lora_weights")
    if not (init is None or isinstance(init, bool) or str(init).lower() in PLAIN_INITS):
        findings.add("init_changes_base", value=init)
    for name, value in config.items():
        if name.startswith("use_") and name not in KNOWN_SWITCHES and value:
            findings.add("feature_unknown", name=name)


def _settings(config: dict[str, Any], findings: Findings) -> Settings:
    stabilised = config.get("use_rslora", False)
    if not isinstance(stabilised, bool):
        findings.add("rslora_invalid", value=_written(stabilised))
    return Settings(
        rank=_rank(config.get("r"), findings),
        alpha=_alpha(config.get("lora_alpha"), findings),
        is_rank_stabilised=stabilised is True,
        ranks=_pattern(config, "rank_pattern", _as_rank, findings),
        alphas=_pattern(config, "alpha_pattern", _as_alpha, findings),
        targets=_targets(config.get("target_modules"), findings),
        excluded=names_in(config.get("exclude_modules")) or (),
        layers=_layers(config.get("layers_to_transform")),
    )


def _rank(value: object, findings: Findings) -> int | None:
    rank = _as_rank(value)
    if rank is None:
        findings.add("rank_invalid", value=_written(value))
    return rank


def _alpha(value: object, findings: Findings) -> float | None:
    alpha = _as_alpha(value)
    if alpha is None:
        findings.add("alpha_invalid", value=_written(value))
    return alpha


def _written(value: object) -> object:
    """Return a value so that a text is told from the number in it."""
    return f"“{value}”" if isinstance(value, str) else value


def _as_rank(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 2**31 else None


def _as_alpha(value: object) -> float | None:
    if type(value) is int and 0 < value < 2**63:
        return float(value)
    return value if type(value) is float and 0 < value < math.inf else None


def _pattern[Number: (int, float)](
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


def _matching[Number: (int, float)](numbers: dict[str, Number], module: str) -> Number | None:
    """Return the number of the first entry that matches a module.

    Exactly vLLM's rule, in which `.` stands for any character: a stricter one would let an alpha for `q.proj`
    pass by the norm bound.
    """
    return next((number for key, number in numbers.items() if re.match(rf"(.*\.)?({key})$", module)), None)


def _targets(value: object, findings: Findings) -> tuple[str, ...] | None:
    """Return the trained modules' names; None for an expression: a stranger's may take forever to run."""
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


def _layers(value: object) -> tuple[int, ...] | None:
    layers: list[Any] = value if isinstance(value, list) else [value]
    return tuple(layers) if layers and all(type(layer) is int for layer in layers) else None


def _is_named(module: str, names: tuple[str, ...]) -> bool:
    return module in names or module.endswith(tuple(f".{name}" for name in names))
