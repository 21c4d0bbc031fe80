"""What an answer that isn't JSON may be bound to: a regular expression, or one of a few choices."""

import hashlib
from typing import Any

import orjson

from inference.contract.grammars.budget import Budget
from inference.contract.grammars.patterns import check_pattern
from inference.contract.place_errors import require

MAX_CHOICES = 256
MAX_CHOICES_BYTES = 16 * 1024


def check_regex(pattern: Any, place: str) -> None:
    """Check that the engine can follow a pattern. Raises BadRequest, naming `place`."""
    check_pattern(pattern, Budget(place))


def check_choices(choices: Any, place: str) -> None:
    """Check that choices are a few short texts. Raises BadRequest, naming `place`."""
    is_list = isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES
    are_texts = is_list and all(isinstance(choice, str) and choice for choice in choices)
    require(are_texts, place, f"must be a list of 1 to {MAX_CHOICES} strings")
    budget = Budget(place)
    text = "".join(choices)
    is_short = len(text.encode()) <= MAX_CHOICES_BYTES
    budget.require(is_short, f"the strings can have at most {MAX_CHOICES_BYTES} bytes in total.")
    budget.require("\x00" not in text, "strings can't contain NUL.")


def digest_of(*constraints: object) -> str:
    """Return a digest that names a grammar: equal constraints have equal digests."""
    return hashlib.sha256(orjson.dumps(constraints)).hexdigest()
