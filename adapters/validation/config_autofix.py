"""The config's part of a mending: fields that are written otherwise than they are meant.

Each function returns the right value of a field; what is not certain stays as it is.
"""

import json
import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from adapters.validation.config import last_part, names_in
from adapters.validation.quantisation import split
from adapters.validation.strict_json import DuplicateKey, NotJson, load

NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
SWITCHES = {"true": True, "1": True, "false": False, "0": False, "none": False}
NEEDED = {"peft_type", "r", "target_modules"}  # other fields may be absent


@dataclass(frozen=True)
class TensorFacts:
    """What the tensors show of an adapter, and the name of the base that is served."""

    ranks: Set[int]
    modules: Set[str]
    base: str


def corrected_config(config_bytes: bytes, shown: TensorFacts) -> tuple[dict[str, Any], bytes]:
    """Return the fields to be corrected with their right values, and the config's bytes with these."""
    try:
        config = load(config_bytes)
    except (NotJson, DuplicateKey):
        return {}, config_bytes
    if not isinstance(config, dict):
        return {}, config_bytes
    corrections = _corrections(config, shown)
    return corrections, json.dumps(config | corrections, indent=2).encode() if corrections else config_bytes


def _corrections(config: dict[str, Any], shown: TensorFacts) -> dict[str, Any]:
    corrections = {}
    for field, right in FIELDS.items():
        if field in config or field in NEEDED:
            value = config.get(field)
            corrected = right(value, shown)
            if type(corrected) is not type(value) or corrected != value:
                corrections[field] = corrected
    return corrections


def _kind(value: Any, shown: TensorFacts) -> Any:
    return "LORA" if value is None or str(value).upper() == "LORA" else value


def _rank(value: Any, shown: TensorFacts) -> Any:
    if value is None and len(shown.ranks) == 1:
        return next(iter(shown.ranks))
    number = _number(value, shown)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _number(value: Any, shown: TensorFacts) -> Any:
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return value
    return float(value) if "." in value else int(value)


def _switch(value: Any, shown: TensorFacts) -> Any:
    return SWITCHES.get(str(value).lower(), value)


def _targets(value: Any, shown: TensorFacts) -> Any:
    is_usable = (isinstance(value, str) and value) or names_in(value)
    return value if is_usable else sorted({module.rsplit(".", 1)[-1] for module in shown.modules})


def _bias(value: Any, shown: TensorFacts) -> Any:
    return value or "none"


def _base_name(value: Any, shown: TensorFacts) -> Any:
    """Correct case and punctuation only: a name with other letters or numbers may be another model."""
    served, trained = last_part(shown.base), last_part(str(value))
    is_same = split(trained)[0].lower() == split(served)[0].lower()
    return shown.base if not is_same and _words(trained) == _words(served) else value


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", name.lower())


FIELDS: dict[str, Callable[[Any, TensorFacts], Any]] = {
    "peft_type": _kind,
    "r": _rank,
    "lora_alpha": _number,
    "use_rslora": _switch,
    "target_modules": _targets,
    "bias": _bias,
    "base_model_name_or_path": _base_name,
}
