"""Correct fields of a config that are written otherwise than they are meant.

Each function in FIELDS returns the right value of a field; what is not certain stays as it is.
"""

import json
import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from adapters.validation.config import last_part, names_in
from adapters.validation.quantisation import split
from adapters.validation.shapes import last_name
from adapters.validation.strict_json import DuplicateKey, NotJson, load

NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
SWITCHES = {"true": True, "1": True, "false": False, "0": False, "none": False}
REQUIRED = {"peft_type", "r", "target_modules"}  # other fields may be absent


@dataclass(frozen=True)
class TensorFacts:
    """What the tensors show of an adapter, and the name of the base that is served."""

    ranks: Set[int]
    modules: Set[str]
    base: str


def correct_config(config_bytes: bytes, shown: TensorFacts) -> tuple[dict[str, Any], bytes]:
    """Return the fields to be corrected with their right values, and the config's bytes with these."""
    try:
        config = load(config_bytes)
    except (NotJson, DuplicateKey):
        return {}, config_bytes
    if not isinstance(config, dict):
        return {}, config_bytes
    corrections = _find_corrections(config, shown)
    if corrections:
        config_bytes = json.dumps(config | corrections, indent=2).encode()
    return corrections, config_bytes


def _find_corrections(config: dict[str, Any], shown: TensorFacts) -> dict[str, Any]:
    corrections = {}
    for field, correct in FIELDS.items():
        if field in config or field in REQUIRED:
            value = config.get(field)
            corrected = correct(value, shown)
            if type(corrected) is not type(value) or corrected != value:
                corrections[field] = corrected
    return corrections


def _correct_peft_type(value: Any, shown: TensorFacts) -> Any:
    return "LORA" if value is None or str(value).upper() == "LORA" else value


def _correct_rank(value: Any, shown: TensorFacts) -> Any:
    if value is None and len(shown.ranks) == 1:
        return next(iter(shown.ranks))
    number = _correct_number(value, shown)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _correct_number(value: Any, shown: TensorFacts) -> Any:
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _correct_switch(value: Any, shown: TensorFacts) -> Any:
    return SWITCHES.get(str(value).lower(), value)


def _correct_targets(value: Any, shown: TensorFacts) -> Any:
    is_expression = isinstance(value, str) and value
    if is_expression or names_in(value):
        return value
    return sorted({last_name(module) for module in shown.modules})


def _correct_bias(value: Any, shown: TensorFacts) -> Any:
    return value or "none"


def _correct_base_name(value: Any, shown: TensorFacts) -> Any:
    """Correct case and punctuation only: a name with other letters or numbers may be another model."""
    served = last_part(shown.base)
    trained = last_part(str(value))
    is_valid = split(trained)[0].lower() == split(served)[0].lower()
    if is_valid or _letters_and_numbers(trained) != _letters_and_numbers(served):
        return value
    return shown.base


def _letters_and_numbers(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", name.lower())


FIELDS: dict[str, Callable[[Any, TensorFacts], Any]] = {
    "peft_type": _correct_peft_type,
    "r": _correct_rank,
    "lora_alpha": _correct_number,
    "use_rslora": _correct_switch,
    "target_modules": _correct_targets,
    "bias": _correct_bias,
    "base_model_name_or_path": _correct_base_name,
}
