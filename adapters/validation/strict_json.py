"""Parse JSON from strangers: no duplicate keys, no NaN, no half characters, nothing deep."""

import json
from typing import Any

from adapters.validation.problems import Reason
from core.messages import Message

MAX_DEPTH = 32  # PEFT's own files are four levels deep; an engine's reader gives up at some hundreds


class NotJson(ValueError):
    """The bytes are not JSON that every reader understands alike. Its argument says why."""

    @property
    def reason(self) -> Message | str:
        """Why, as a message or as Python's own words."""
        reason: Message | str = self.args[0]
        return reason


class DuplicateKey(ValueError):
    """A key stands twice in one object; readers disagree on which one counts."""


def load(data: bytes) -> Any:
    """Return what the UTF-8 bytes say. Raises NotJson or DuplicateKey (its argument is the key)."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_make_object,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
        )
    except DuplicateKey:
        raise
    except UnicodeDecodeError as error:
        raise NotJson(Reason.NOT_TEXT()) from error
    except RecursionError as error:
        raise NotJson(Reason.NESTED_DEEPLY()) from error
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # a number with thousands of digits
        raise NotJson(str(error).split(";")[0]) from error
    if _is_deep(value):
        raise NotJson(Reason.NESTED_DEEPLY())
    return value


def _is_deep(value: Any) -> bool:
    """Return whether lists and objects lie deeper than MAX_DEPTH. Not recursive, so it takes any depth."""
    level = [value] if isinstance(value, (dict, list)) else []
    depth = 0
    while level and depth < MAX_DEPTH:
        depth += 1
        inner: list[Any] = []
        for outer in level:
            children = outer.values() if isinstance(outer, dict) else outer
            inner += [child for child in children if isinstance(child, (dict, list))]
        level = inner
    return bool(level)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise DuplicateKey(key)
        result[key] = value
    return result


def _parse_integer(digits: str) -> int:
    if digits == "-0":  # Python reads 0, other readers a fraction
        raise NotJson(Reason.NEGATIVE_ZERO())
    return int(digits)


def _refuse_constant(constant: str) -> None:
    raise NotJson(Reason.CONSTANT(constant=constant))


def is_text(value: object) -> bool:
    """Return whether a value is a string of whole characters: JSON can smuggle half a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
