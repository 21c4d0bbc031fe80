"""Errors that name a place within a request, such as `messages[2].content`."""

import re
from collections.abc import Set

from inference.errors import BadRequest
from inference.facts import JsonObject

MAX_NAME_CHARACTERS_SHOWN = 64


def refuse_unknown_keys(value: JsonObject, known: Set[str], place: str) -> None:
    """Check that an object has no other keys than the known ones. Raises BadRequest naming the first."""
    for name, inner in value.items():
        is_empty = inner is None or inner is False or inner == []  # clients send these by default
        if name not in known and not is_empty:
            raise place_error(f"{place}.{name[:MAX_NAME_CHARACTERS_SHOWN]}", "is not supported; remove it")


def split_names(text: str) -> tuple[str, ...]:
    """Return the names that a text lists."""
    return tuple(text.split())


def name_set(text: str) -> frozenset[str]:
    """Return the names that a text lists, in no order."""
    return frozenset(text.split())


def require(is_valid: object, place: str, why: str) -> None:
    """Raise BadRequest for a place that is not valid; `why` is what it must be."""
    if not is_valid:
        raise place_error(place, why)


def place_error(place: str, why: str) -> BadRequest:
    """Return the error for a place; its `param` is the field that the place is in."""
    field = re.split(r"[.\[]", place)[0]
    return BadRequest(f"`{place}` {why}.", param=field)
