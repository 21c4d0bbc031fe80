"""How the fields of a request are read by a table: nothing is dropped in silence.

A field is served (within its bounds), ignored because it can't change the answer, or refused by name with a
hint of what to do instead. A field that is in no table is refused, too.
"""

import json
import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Literal

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


type Check = Callable[[str, Any], None]

SHOWN_CHARACTERS = 64  # of a name that a client sent, in an error


@dataclass(frozen=True, slots=True)
class Field:
    """What the API does with one field.

    `says` is for people: the bounds of a served field, why an ignored one is harmless, what to do instead of
    a refused one. `check` raises BadRequest for a value out of bounds; of an ignored field, for one that
    would change the answer. `ends` are values at the bounds, which
    trials send to the real engine. `neutral` are the values of a refused field that are accepted: they
    change nothing. `is_stateful` fields are for workspaces that store responses: turns.py takes them out.
    `why` is what an error says of a refused field, where `says` is no reason.
    """

    fate: Literal["served", "ignored", "refused"]
    says: str
    check: Check | None = None
    ends: tuple[object, ...] = ()
    neutral: tuple[object, ...] = ()
    is_stateful: bool = False
    why: str = ""


type Table = dict[str, Field]


def served(says: str, check: Check | None = None, *ends: object) -> Field:
    return Field("served", says, check, ends)


def ignored(says: str, check: Check | None = None, *ends: object) -> Field:
    return Field("ignored", says, check, ends)


def refused(says: str, *neutral: object) -> Field:
    return Field("refused", says, neutral=neutral)


def read_fields(table: Table, raw: JsonObject) -> JsonObject:
    """Return the served fields of a request, checked. Raises BadRequest naming the first invalid field."""
    served_fields = {}
    for name, value in raw.items():
        if value is None:  # clients send null for what they don't set
            continue
        field = table.get(name)
        if field is None:
            shown = name[:SHOWN_CHARACTERS]
            raise BadRequest(
                f"Unrecognized request argument supplied: `{shown}`. See the API documentation for the "
                "supported arguments.",
                param=shown,
            )
        if field.check:
            field.check(name, value)
        if field.fate == "served":
            served_fields[name] = value
        elif field.fate == "refused" and not _is_neutral(field, value):
            raise BadRequest(f"`{name}` is not supported: {field.why or field.says}.", param=name)
    return served_fields


def _is_neutral(field: Field, value: object) -> bool:
    # The types are compared, too: to Python `true` equals 1.
    return any(type(value) is type(neutral) and value == neutral for neutral in field.neutral)


SERVED_COLUMN = {"served": "yes", "ignored": "ignored", "refused": "400"}


def describe_table(table: Table) -> str:
    """Return a table of fields in Markdown, as docs/api.md shows it."""
    lines = ["| field | served | |", "|---|---|---|"]
    for fate, column in SERVED_COLUMN.items():
        for name, field in table.items():
            if field.fate == fate:
                written = "if stored" if field.is_stateful else column
                lines.append(f"| `{name}` | {written} | {_describe_field(field)} |")
    return "\n".join(lines)


def _describe_field(field: Field) -> str:
    if not field.neutral:
        return field.says
    accepted = ", ".join(f"`{json.dumps(value)}`" for value in field.neutral)
    return f"{field.says} ({accepted} is accepted)"
