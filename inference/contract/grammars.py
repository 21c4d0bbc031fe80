"""Bounds of what an answer may be made to look like: JSON schemas, regular expressions, choices.

The engine compiles each into a grammar; nothing stops a compilation, and it takes CPU from everybody. So
what it may cost is estimated here by structure, in microseconds, and refused before the engine sees it. The
weights are CPU milliseconds of xgrammar 0.2.8 with a vocabulary of 49,152 tokens (docs/api.md tells how).
"""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.errors import BadRequest

MAX_BYTES = 16 * 1024  # of all schemas of a request, as JSON
MAX_DEPTH = 32
MAX_PROPERTIES = 256
MAX_ENUM_VALUES = 1024
MAX_BRANCHES = 128  # of anyOf, oneOf and allOf
MAX_CHOICES = 256
MAX_PATTERN_CHARACTERS = 256
MAX_REPEAT = 100  # {m,n}, minLength, maxLength
MAX_ITEMS = 1000  # minItems, maxItems: xgrammar counts them, which is cheap
MAX_COST_MS = 2000

WIDE_MS = 18.0  # one more character of a text or a pattern that may be nearly any: `.`, `\\w`, maxLength
NARROW_MS = 3.0  # one of a few: `[a-z]`
LITERAL_MS = 0.5
ITEMS_MS = 12.0  # an array with a bound
PROPERTY_MS = 0.3
OPTIONAL_PAIR_MS = 0.004  # optional properties may begin anywhere: quadratic in an object
ENUM_VALUE_MS = 0.05
BRANCH_MS = 1.0
FORMATS_MS = {
    "date": 10.0, "time": 10.0, "date-time": 10.0, "duration": 10.0, "email": 50.0, "hostname": 20.0,
    "ipv4": 10.0, "ipv6": 20.0, "uuid": 10.0, "uri": 30.0, "uri-reference": 50.0, "json-pointer": 10.0,
    "relative-json-pointer": 10.0,
}  # fmt: skip
INT64 = 2**63

SCHEMA_KEYS = {
    "$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "definitions", "enum",
    "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maximum", "minItems",
    "minLength", "minimum", "oneOf", "pattern", "prefixItems", "properties", "required", "type",
}  # fmt: skip
# They say nothing about which answers fit.
NOTES = {
    "$anchor", "$comment", "$id", "$schema", "contentEncoding", "contentMediaType", "default", "deprecated",
    "description", "discriminator", "example", "examples", "readOnly", "title", "writeOnly",
}  # fmt: skip
TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}


@dataclass(eq=False)
class _Bill:
    """What was met in the schemas of one request."""

    place: str
    cost_ms: float = 0.0
    properties: int = 0
    enum_values: int = 0
    branches: int = 0
    once: set[object] = field(default_factory=set)  # what is compiled once, however often it stands there

    def refuse(self, why: str) -> BadRequest:
        return BadRequest(f"`{self.place}`: {why}", param=self.place)

    def add(self, cost_ms: float, *, once: object = None) -> None:
        if once is not None:
            if once in self.once:
                return
            self.once.add(once)
        self.cost_ms += cost_ms
        if self.cost_ms > MAX_COST_MS:
            raise self.refuse(
                "the schema is too costly to compile; use fewer or shorter length bounds, repetitions, "
                "patterns or optional properties."
            )


def check_schemas(schemas: list[Any], place: str) -> None:
    """Raises BadRequest, naming `place`, where schemas are no JSON schemas within the bounds."""
    for schema in schemas:
        check_depth(schema, place)
    size = sum(len(orjson.dumps(schema)) for schema in schemas)
    if size > MAX_BYTES:
        raise BadRequest(
            f"`{place}`: a request's schemas may take {MAX_BYTES} bytes in all; these take {size}.",
            param=place,
        )
    bill = _Bill(place)
    for schema in schemas:
        _check_root(schema, bill)


def check_depth(value: Any, place: str) -> None:
    """Raises BadRequest, naming `place`, where objects and lists are nested too deeply."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in containers_in(outer)]
        if not level:
            return
    raise BadRequest(f"`{place}`: the schema may be nested {MAX_DEPTH} levels deep.", param=place)


def check_regex(pattern: Any, place: str) -> None:
    """Raises BadRequest, naming `place`, where a pattern is none that the engine can follow at once."""
    bill = _Bill(place)
    bill.add(_pattern_cost(pattern, bill, is_alone=True))


def check_choices(choices: Any, place: str) -> None:
    """Raises BadRequest, naming `place`, where choices are not a few short texts."""
    is_list = isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES
    if not is_list or not all(isinstance(choice, str) and choice for choice in choices):
        raise BadRequest(f"`{place}` must be a list of 1 to {MAX_CHOICES} texts.", param=place)
    if sum(len(choice.encode()) for choice in choices) > MAX_BYTES:
        raise BadRequest(f"`{place}`: the texts may take {MAX_BYTES} bytes in all.", param=place)
    if any("\x00" in choice for choice in choices):
        raise BadRequest(f"`{place}`: a text may hold no NUL.", param=place)


def digest_of(*constraints: object) -> str:
    """Return what names a grammar: the same constraints have the same."""
    return hashlib.sha256(orjson.dumps(constraints)).hexdigest()


# JSON schemas.


def _check_root(schema: Any, bill: _Bill) -> None:
    if not isinstance(schema, dict):
        raise bill.refuse("the schema must be an object.")
    _check_references(schema, bill)
    _check(schema, bill)


def containers_in(value: Any) -> Iterator[Any]:
    """Return the objects and lists that stand in an object or list."""
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (inner for inner in within if isinstance(inner, dict | list))


def _check(schema: Any, bill: _Bill) -> None:
    """Check one schema and those in it."""
    if schema is True:
        return
    if schema is False:
        raise bill.refuse("`false` stands only for `items` and `additionalProperties`.")
    if not isinstance(schema, dict):
        raise bill.refuse("each part of the schema must be an object, or true or false.")
    if schema.get("propertyNames") == {"type": "string"}:
        del schema["propertyNames"]  # as zod writes it: names are always texts
    unknown = schema.keys() - SCHEMA_KEYS - NOTES
    if unknown:
        named = min(unknown)[:64]
        raise bill.refuse(f"the schema's keyword `{named}` is not served: the answer would not follow it.")
    if not isinstance(schema.get("$ref", ""), str):
        raise bill.refuse("`$ref` must be a text.")
    _check_type(schema, bill)
    _check_values(schema, bill)
    _check_text(schema, bill)
    _check_numbers(schema, bill)
    _check_array(schema, bill)
    _check_object(schema, bill)
    _check_branches(schema, bill)


def _check_type(schema: dict[str, Any], bill: _Bill) -> None:
    if "type" not in schema:
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not kinds or not all(isinstance(kind, str) and kind in TYPES for kind in kinds):
        raise bill.refuse(f"`type` must be one of {', '.join(sorted(TYPES))}, or a list of them.")
    bill.add(BRANCH_MS * len(kinds))


def _check_values(schema: dict[str, Any], bill: _Bill) -> None:
    values = schema.get("enum", [])
    if not isinstance(values, list) or ("enum" in schema and not values):
        raise bill.refuse("`enum` must be a list of values.")
    bill.enum_values += len(values)
    if bill.enum_values > MAX_ENUM_VALUES:
        raise bill.refuse(f"all `enum` of a request may have {MAX_ENUM_VALUES} values.")
    bill.add(ENUM_VALUE_MS * len(values))


def _check_text(schema: dict[str, Any], bill: _Bill) -> None:
    form, pattern = schema.get("format"), schema.get("pattern")
    least, most = (_count(schema, name, MAX_REPEAT, bill) for name in ("minLength", "maxLength"))
    if (form is not None or pattern is not None) and (least is not None or most is not None):
        raise bill.refuse("`pattern` and `format` can't be had together with a length.")
    if form is not None and pattern is not None:
        raise bill.refuse("`pattern` can't be had together with `format`.")
    if form is not None:
        if not isinstance(form, str) or form not in FORMATS_MS:
            raise bill.refuse(f"`format` must be one of {', '.join(sorted(FORMATS_MS))}.")
        bill.add(FORMATS_MS[form])
    if pattern is not None:
        bill.add(_pattern_cost(pattern, bill), once=("pattern", pattern))
    if least is not None or most is not None:
        if least is not None and most is not None and least > most:
            raise bill.refuse("`minLength` must not be above `maxLength`.")
        bill.add(WIDE_MS * max(least or 0, most or 0), once=("length", least, most))


def _check_numbers(schema: dict[str, Any], bill: _Bill) -> None:
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if name not in schema:
            continue
        value = schema[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bill.refuse(f"`{name}` must be a number.")
        if not math.isfinite(value) or not -INT64 < value < INT64:
            raise bill.refuse(f"`{name}` must be within 64 bits.")
        bill.add(BRANCH_MS)
    low = max(schema.get("minimum", -INT64), schema.get("exclusiveMinimum", -INT64))
    high = min(schema.get("maximum", INT64), schema.get("exclusiveMaximum", INT64))
    is_exclusive = low == schema.get("exclusiveMinimum") or high == schema.get("exclusiveMaximum")
    kinds = schema.get("type")
    is_whole = kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds)
    if is_whole:
        if low != int(low) or high != int(high):
            raise bill.refuse("the bounds of an integer must be whole numbers.")
        low = low + 1 if low == schema.get("exclusiveMinimum") else low
        high = high - 1 if high == schema.get("exclusiveMaximum") else high
        is_exclusive = False
    if low > high or (low == high and is_exclusive):
        raise bill.refuse("no number is between its bounds.")


def _check_array(schema: dict[str, Any], bill: _Bill) -> None:
    least, most = (_count(schema, name, MAX_ITEMS, bill) for name in ("minItems", "maxItems"))
    prefix = schema.get("prefixItems", [])
    if not isinstance(prefix, list) or len(prefix) > MAX_BRANCHES:
        raise bill.refuse(f"`prefixItems` must be a list of at most {MAX_BRANCHES} schemas.")
    if least is not None and most is not None and least > most:
        raise bill.refuse("`minItems` must not be above `maxItems`.")
    if most is not None and most < len(prefix):
        raise bill.refuse("`maxItems` must not be below the number of `prefixItems`.")
    if least is not None or most is not None:
        bill.add(ITEMS_MS)
    if schema.get("items") is False and (least or 0) > len(prefix):
        raise bill.refuse("`minItems` must not be above the number of `prefixItems` where `items` is false.")
    for item in [*prefix, schema.get("items") or True]:
        _check(item, bill)


def _check_object(schema: dict[str, Any], bill: _Bill) -> None:
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise bill.refuse("`required` must be a list of names.")
    properties = _mapping(schema, "properties", bill)
    bill.properties += len(properties)
    if max(bill.properties, len(required)) > MAX_PROPERTIES:
        raise bill.refuse(f"a request's schemas may have {MAX_PROPERTIES} properties in all.")
    optional = len(properties.keys() - set(required))
    bill.add(PROPERTY_MS * len(properties) + OPTIONAL_PAIR_MS * optional**2)
    for inner in [*properties.values(), schema.get("additionalProperties") or True]:
        _check(inner, bill)
    for name in ("$defs", "definitions"):
        definitions = _mapping(schema, name, bill)
        for inner in definitions.values():
            _check(inner, bill)


def _check_branches(schema: dict[str, Any], bill: _Bill) -> None:
    for name in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(name, [])
        if not isinstance(branches, list) or (name in schema and not branches):
            raise bill.refuse(f"`{name}` must be a list of schemas.")
        if name == "allOf" and len(branches) > 1:
            raise bill.refuse("`allOf` of several schemas is not served: write them as one.")
        bill.branches += len(branches)
        if bill.branches > MAX_BRANCHES:
            raise bill.refuse(f"a request's schemas may have {MAX_BRANCHES} alternatives in all.")
        bill.add(BRANCH_MS * len(branches))
        for inner in branches:
            _check(inner, bill)


def _mapping(schema: dict[str, Any], name: str, bill: _Bill) -> dict[str, Any]:
    value = schema.get(name, {})
    if isinstance(value, dict):
        return value
    raise bill.refuse(f"`{name}` must be an object.")


def _count(schema: dict[str, Any], name: str, most: int, bill: _Bill) -> int | None:
    value = schema.get(name)
    if name not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise bill.refuse(f"`{name}` must be a whole number between 0 and {most}.")
    return value


def _check_references(root: dict[str, Any], bill: _Bill) -> None:
    """Refuse a `$ref` that leads nowhere, or round in a circle before anything is written."""
    for schema in _walk(root):
        reference, seen = schema.get("$ref"), set()
        while isinstance(reference, str):  # else it is a property of that name
            if reference in seen:
                raise bill.refuse("`$ref` may not lead back to itself.")
            seen.add(reference)
            target = _resolve(root, reference)
            if target is None:
                raise bill.refuse("`$ref` must lead to `#/$defs/…` of the same schema.")
            reference = target.get("$ref")
    _check_loops(root, bill)


def _check_loops(root: dict[str, Any], bill: _Bill) -> None:
    """Refuse alternatives that lead to themselves with nothing written between (`a: anyOf [a, …]`)."""
    done: set[int] = set()

    def visit(schema: Any, path: tuple[int, ...]) -> None:
        if not isinstance(schema, dict) or id(schema) in done:
            return
        if id(schema) in path:
            raise bill.refuse("a schema's alternatives may not lead back to itself.")
        path = (*path, id(schema))
        for name in ("anyOf", "oneOf", "allOf"):
            branches = schema.get(name)
            for inner in branches if isinstance(branches, list) else ():
                visit(inner, path)
        if isinstance(schema.get("$ref"), str):
            visit(_resolve(root, schema["$ref"]), path)
        done.add(id(schema))

    for schema in _walk(root):
        visit(schema, ())


def _walk(root: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a value, whatever it is there for."""
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
        pending.extend(containers_in(value))


def _resolve(root: dict[str, Any], reference: str) -> dict[str, Any] | None:
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    value: Any = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, dict) else None


# Regular expressions.

QUANTIFIER = re.compile(r"[*+?]|\{(\d{1,9})(?:,(\d{0,9}))?\}")
CLASS = re.compile(r"\[(\^?)(\]?(?:[^\]\\]|\\.)*)\]", re.DOTALL)
RANGE = re.compile(r"([^\\])-([^\\])", re.DOTALL)
OPEN_ENDED = 2  # how often `*` and `+` are counted
MAX_LENGTHS = 128
NARROW_MAX = 40  # characters of a class


def _pattern_cost(pattern: Any, bill: _Bill, *, is_alone: bool = False) -> float:
    if not isinstance(pattern, str) or "\x00" in pattern:
        raise bill.refuse("a pattern must be a text without NUL.")
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise bill.refuse(f"a pattern may have {MAX_PATTERN_CHARACTERS} characters.")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise bill.refuse("a pattern is no regular expression.") from None
    return _Pattern(pattern, bill, is_alone=is_alone).cost_ms()


class _Pattern:
    """Reads a pattern once, from left to right, and adds up what it costs with its repetitions written out.

    `lengths` is in how many ways its bounded repetitions can share a text: where they are many, the engine
    follows all of them for each token that it writes, and everybody waits. A pattern that is alone, not in
    a JSON schema, is not made deterministic first: there a repeated group may not hold what is nearly any
    character (`(.{1,20})+` takes minutes a token).
    """

    def __init__(self, pattern: str, bill: _Bill, *, is_alone: bool) -> None:
        self._pattern, self._bill, self._at = pattern, bill, 0
        self._is_alone = is_alone
        self._lengths = 1
        self._wide = 0

    def cost_ms(self) -> float:
        cost = self._sequence()
        if self._at < len(self._pattern):
            raise self._bill.refuse("a pattern is no regular expression.")
        return cost

    def _sequence(self) -> float:
        cost = LITERAL_MS
        while (here := self._here()) and here != ")":
            cost += self._skip(1) if here == "|" else self._repeated()
        return cost

    def _repeated(self) -> float:
        before, self._lengths = self._lengths, 1
        is_group, wide = self._here() == "(", self._wide
        cost = self._group() if is_group else self._atom()
        while found := QUANTIFIER.match(self._pattern, self._at):
            self._at = found.end()
            least, most = self._times(found)
            cost *= max(1, most)
            if self._is_alone and is_group and most > 1 and self._wide > wide:
                raise self._bill.refuse(
                    "a repeated group of a pattern may hold no `.`, `\\w` or other wide class; repeat the "
                    "class itself."
                )
            self._lengths = min(self._lengths**most * (most - least + 1), MAX_LENGTHS + 1)
            if self._here() == "?":  # lazy: the same texts
                self._at += 1
        self._lengths *= before
        if self._lengths > MAX_LENGTHS:
            raise self._bill.refuse(
                f"a pattern's bounded repetitions may share a text in {MAX_LENGTHS} ways (the product of all "
                "n - m + 1): nest fewer of them, or use `*`."
            )
        return cost

    def _times(self, found: re.Match[str]) -> tuple[int, int]:
        if found[0] in "*+":
            return OPEN_ENDED, OPEN_ENDED
        if found[0] == "?":
            return 0, 1
        least = int(found[1])
        most = int(found[2] or least) if "," in found[0] else least
        if most > MAX_REPEAT:
            raise self._bill.refuse(f"a pattern may repeat a part {MAX_REPEAT} times.")
        return least, max(least, most)

    def _group(self) -> float:
        opening = self._pattern[self._at + 1 : self._at + 3]
        if opening[:1] == "?" and opening != "?:":
            raise self._bill.refuse("a pattern may not look around, nor name groups.")
        self._at += 3 if opening == "?:" else 1
        cost = self._sequence()
        self._at += 1  # its bracket: `re` has seen that it is there
        return cost

    def _atom(self) -> float:
        here = self._here()
        if here == "\\":
            return self._escape()
        if here == "[" and (found := CLASS.match(self._pattern, self._at)):
            self._at = found.end()
            return self._any() if found[1] or _is_wide(found[2]) else NARROW_MS
        self._at += 1
        return self._any() if here == "." else LITERAL_MS

    def _escape(self) -> float:
        after = self._pattern[self._at + 1 : self._at + 2]
        if after in "0123456789ABZbpPkNU":
            raise self._bill.refuse(f"a pattern may not have `\\{after}`.")
        self._at += {"x": 4, "u": 6}.get(after, 2)
        if after in "wWDS":
            return self._any()
        return NARROW_MS if after in "ds" else LITERAL_MS

    def _any(self) -> float:
        self._wide += 1
        return WIDE_MS

    def _here(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _skip(self, length: int) -> float:
        self._at += length
        return LITERAL_MS


def _is_wide(inside: str) -> bool:
    """Return whether a class has more than a few characters."""
    if re.search(r"\\[^\\\]\[^.$*+?(){}|/tnr-]", inside):
        return True  # `\w`, `\u0000-\uffff` and the like; `\d` with them, for simplicity
    ranges = RANGE.findall(inside)
    return len(inside) + sum(ord(last) - ord(first) for first, last in ranges) > NARROW_MAX
