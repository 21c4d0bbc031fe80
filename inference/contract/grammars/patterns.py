"""Regular expressions: which the engine can follow. How long that takes is measured there."""

import re
from typing import Any

from inference.contract.grammars.budget import Budget

MAX_PATTERN_CHARACTERS = 256
MAX_REPEAT = 100  # {m,n}, minLength, maxLength

# A class or an escape as a whole: brackets in them open no group.
TOKEN = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]|\\.|\((\?.?)?|\{(\d+)(?:,(\d*))?\}|.", re.DOTALL)
UNSUPPORTED_ESCAPES = "0123456789ABZbpPkNU"


def check_pattern(pattern: Any, budget: Budget) -> None:
    """Check that the engine can follow a pattern. Raises BadRequest."""
    is_text = isinstance(pattern, str) and "\x00" not in pattern
    budget.require(is_text, "a pattern must be a string without NUL.")
    is_short = len(pattern) <= MAX_PATTERN_CHARACTERS
    budget.require(is_short, f"a pattern can have at most {MAX_PATTERN_CHARACTERS} characters.")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise budget.error("a pattern is not a valid regular expression.") from None
    for token in TOKEN.finditer(pattern):
        text, opening, least, most = token[0], token[1], token[2], token[3]
        budget.require(opening in (None, "", "?:"), "a pattern can't use lookaround or named groups.")
        is_unsupported = text[0] == "\\" and text[1] in UNSUPPORTED_ESCAPES
        budget.require(not is_unsupported, f"a pattern can't contain `{text}`.")
        repeats = max(int(least or 0), int(most or 0))
        budget.require(repeats <= MAX_REPEAT, f"a pattern can repeat a part at most {MAX_REPEAT} times.")
