"""Bounds of what an answer may be made to look like: JSON schemas, regular expressions, choices.

These are cheap limits of size, depth and keywords. What following a grammar really costs is bounded in the
engine (decision 82), which ends a request whose grammar takes too much.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from inference.contract.field_reader import name_set, require
from inference.errors import BadRequest
from inference.facts import JsonObject

# What the schemas of one request count together.


@dataclass(eq=False)
class Budget:
    """What the schemas of one request have used. `place` is the field that errors name."""

    place: str
    properties: int = 0
    enum_values: int = 0
    branches: int = 0

    def require(self, is_valid: object, why: str) -> None:
        """Raise BadRequest for the request's field if something in it is not valid."""
        if not is_valid:
            raise self.error(why)

    def error(self, why: str) -> BadRequest:
        """Return the error for the request's field."""
        return BadRequest(f"`{self.place}`: {why}", param=self.place)


# Objects and lists within each other, read without recursion: a request may nest them thousands deep.

MAX_DEPTH = 32


def check_depth(value: object, place: str) -> None:
    """Check that objects and lists are not nested too deeply. Raises BadRequest, naming `place`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = next_level(level)
        if not level:
            return
    raise BadRequest(f"`{place}`: the schema can be nested at most {MAX_DEPTH} levels deep.", param=place)


def next_level(containers: list[object]) -> list[object]:
    """Return the objects and lists that stand directly in some objects and lists."""
    level = []
    for container in containers:
        level.extend(_containers_in(container))
    return level


def walk_objects(root: object) -> Iterator[JsonObject]:
    """Yield every object in a value, at any depth and whatever it means there."""
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
        pending.extend(_containers_in(value))


def _containers_in(value: object) -> list[object]:
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    else:
        return []
    return [child for child in children if isinstance(child, dict | list)]


# Regular expressions: which the engine can follow. How long that takes is measured there.

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


# The references of a JSON schema: each must lead to a schema that is checked, and not round in a circle.
#
# They are followed without recursion, and each only once: a schema may have hundreds that lead to each
# other.

# What a reference may lead through: keywords that have a schema, and those that have schemas by names.
SCHEMA_KEYWORDS = ("items", "additionalProperties")
MAPPING_KEYWORDS = ("$defs", "definitions", "properties")


def check_references(root: JsonObject, budget: Budget) -> None:
    """Check every `$ref` of a schema. Raises BadRequest for one that leads nowhere or back to itself."""
    ended: set[str] = set()
    for schema in walk_objects(root):
        _follow(root, schema, budget, ended)


def _follow(root: JsonObject, schema: JsonObject, budget: Budget, ended: set[str]) -> None:
    """Follow a chain of references to its end, or to one that is known to end; `ended` has those."""
    seen = set()
    reference = schema.get("$ref")
    while isinstance(reference, str) and reference not in ended:  # no text: a property of that name
        if reference in seen:
            raise budget.error("`$ref` can't be recursive.")
        seen.add(reference)
        target = _resolve(root, reference)
        if target is None:
            raise budget.error("`$ref` must point to a schema inside this one, such as `#/$defs/…`.")
        reference = target.get("$ref")
    ended |= seen


def _resolve(root: JsonObject, reference: str) -> JsonObject | None:
    """Return the schema that a reference leads to, or None.

    It leads through keywords that have schemas, all of which are checked. The engine would follow it into a
    `default` or a `const`, too, and nobody checks what stands there.
    """
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    value: Any = root
    is_schema = True
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")  # the escapes of RFC 6901
        if is_schema and name not in (*SCHEMA_KEYWORDS, *MAPPING_KEYWORDS):
            return None
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
        is_schema = not is_schema or name in SCHEMA_KEYWORDS
    return value if is_schema and isinstance(value, dict) else None


# What an answer that isn't JSON may be bound to: a regular expression, or one of a few choices.

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


MAX_BYTES = 16 * 1024  # of all schemas of a request, as JSON
MAX_PROPERTIES = 256
MAX_ENUM_VALUES = 1024
MAX_BRANCHES = 128  # of anyOf, oneOf and allOf
MAX_ITEMS = 1000  # minItems, maxItems
INT64 = 2**63

KEYWORDS = name_set(
    """
    $defs $ref additionalProperties allOf anyOf const definitions enum exclusiveMaximum
    exclusiveMinimum format items maxItems maxLength maximum minItems minLength minimum oneOf
    pattern prefixItems properties required type
    """
)
# These don't change which answers are valid. The model may read them: a tool's description is in its prompt.
ANNOTATIONS = name_set(
    """
    $anchor $comment $id $schema contentEncoding contentMediaType default deprecated description
    discriminator example examples readOnly title writeOnly
    """
)
# These do, and the engine doesn't follow them. Every other keyword is an annotation of somebody's own
# (`x-order`, `strict`), as JSON Schema has it.
NOT_FOLLOWED = name_set(
    """
    $dynamicRef $recursiveRef additionalItems contains dependencies dependentRequired dependentSchemas
    disallow divisibleBy else extends if maxContains maxProperties minContains minProperties multipleOf
    not patternProperties propertyNames then unevaluatedItems unevaluatedProperties uniqueItems
    """
)
TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
FORMATS = name_set(
    """
    date time date-time duration email hostname ipv4 ipv6 uuid uri uri-reference json-pointer
    relative-json-pointer
    """
)
# The engine knows these by their pattern alone; no reference is checked further than for its characters.
FORMAT_PATTERNS = {
    "uri-reference": r"^([A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]]|%[0-9A-Fa-f]{2})*$",
    "json-pointer": r"^(/([^~/]|~[01])*)*$",
    "relative-json-pointer": r"^(0|[1-9][0-9]*)(#|(/([^~/]|~[01])*)*)$",
}
TYPE_NAMES = ", ".join(sorted(TYPES))
FORMAT_NAMES = ", ".join(sorted(FORMATS))
BRANCH_KEYWORDS = ("anyOf", "oneOf", "allOf")
NUMBER_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


@dataclass(frozen=True)
class Bounds:
    """Two keywords of a schema that bound a length or a number of items; None for one that is not set."""

    least_name: str
    most_name: str
    least: int | None
    most: int | None

    @property
    def are_set(self) -> bool:
        """Whether the schema has any of them."""
        return (self.least, self.most) != (None, None)

    def require_order(self, budget: Budget) -> None:
        """Raise BadRequest if the lower one is above the upper one."""
        is_ordered = self.least is None or self.most is None or self.least <= self.most
        budget.require(is_ordered, f"`{self.least_name}` must not be above `{self.most_name}`.")


def check_schemas(schemas: list[Any], place: str) -> None:
    """Check the JSON schemas of a request, together. Raises BadRequest, naming `place`."""
    for schema in schemas:
        check_depth(schema, place)  # first: what follows reads schemas recursively
    size = sum(len(orjson.dumps(schema)) for schema in schemas)
    if size > MAX_BYTES:
        raise BadRequest(
            f"`{place}`: the schemas of a request can have at most {MAX_BYTES} bytes in total; these "
            f"have {size}.",
            param=place,
        )
    budget = Budget(place)
    for schema in schemas:
        budget.require(isinstance(schema, dict), "the schema must be an object.")
        check_references(schema, budget)
        _check_schema(schema, budget)


def _check_schema(schema: Any, budget: Budget) -> None:
    """Check one schema and those in it."""
    if schema is True:
        return
    budget.require(schema is not False, "`false` is only allowed for `items` and `additionalProperties`.")
    budget.require(isinstance(schema, dict), "each part of the schema must be an object, true or false.")
    if schema.get("propertyNames") == {"type": "string"}:
        del schema["propertyNames"]  # zod writes it; names are always texts
    not_followed = schema.keys() & NOT_FOLLOWED
    if not_followed:
        keyword = min(not_followed)
        raise budget.error(f"the schema keyword `{keyword}` is not supported: the output wouldn't follow it.")
    for keyword in schema.keys() - KEYWORDS - ANNOTATIONS:
        del schema[keyword]  # no engine knows it
    budget.require(isinstance(schema.get("$ref", ""), str), "`$ref` must be a string.")
    for check in CHECKS:
        check(schema, budget)


def _check_type(schema: JsonObject, budget: Budget) -> None:
    if "type" not in schema:
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    are_known = kinds and all(isinstance(kind, str) and kind in TYPES for kind in kinds)
    budget.require(are_known, f"`type` must be one of {TYPE_NAMES}, or a list of them.")


def _check_enum(schema: JsonObject, budget: Budget) -> None:
    values = schema.get("enum", [])
    budget.require(_is_full_list(schema, "enum"), "`enum` must be a list of values.")
    budget.enum_values += len(values)
    most = f"a request's schemas can have at most {MAX_ENUM_VALUES} `enum` values in total."
    budget.require(budget.enum_values <= MAX_ENUM_VALUES, most)


def _check_string(schema: JsonObject, budget: Budget) -> None:
    text_format = schema.get("format")
    pattern = schema.get("pattern")
    length = _read_bounds(schema, "minLength", "maxLength", MAX_REPEAT, budget)
    has_format = text_format is not None
    has_pattern = pattern is not None
    has_form = has_format or has_pattern
    budget.require(
        not (length.are_set and has_form), "`pattern` and `format` can't be combined with a length."
    )
    budget.require(not (has_format and has_pattern), "`pattern` can't be combined with `format`.")
    if has_format:
        _check_format(text_format, budget)
        if text_format in FORMAT_PATTERNS:
            schema["pattern"] = FORMAT_PATTERNS[schema.pop("format")]
    elif has_pattern:
        check_pattern(pattern, budget)
    elif length.are_set:
        length.require_order(budget)


def _check_format(text_format: Any, budget: Budget) -> None:
    is_known = isinstance(text_format, str) and text_format in FORMATS
    budget.require(is_known, f"`format` must be one of {FORMAT_NAMES}.")


def _check_number(schema: JsonObject, budget: Budget) -> None:
    for name in NUMBER_BOUNDS:
        if name in schema:
            _check_number_bound(name, schema[name], budget)
    budget.require(_has_number(schema, budget), "no number satisfies its bounds.")


def _check_number_bound(name: str, value: Any, budget: Budget) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    budget.require(is_number, f"`{name}` must be a number.")
    # vLLM 0.32 answers 500 beyond 64 bits.
    is_small = math.isfinite(value) and -INT64 < value < INT64
    budget.require(is_small, f"`{name}` must fit in 64 bits.")


def _has_number(schema: JsonObject, budget: Budget) -> bool:
    """Return whether a number, or a whole number, is between a schema's bounds."""
    low = max(schema.get("minimum", -INT64), schema.get("exclusiveMinimum", -INT64))
    high = min(schema.get("maximum", INT64), schema.get("exclusiveMaximum", INT64))
    excludes_low = low == schema.get("exclusiveMinimum")
    excludes_high = high == schema.get("exclusiveMaximum")
    kinds = schema.get("type")
    if kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds):
        are_whole = low == int(low) and high == int(high)
        budget.require(are_whole, "the bounds of an integer must be whole numbers.")
        return bool(low + excludes_low <= high - excludes_high)
    if excludes_low or excludes_high:
        return bool(low < high)
    return bool(low <= high)


def _check_array(schema: JsonObject, budget: Budget) -> None:
    count = _read_bounds(schema, "minItems", "maxItems", MAX_ITEMS, budget)
    prefix = schema.get("prefixItems", [])
    is_short = isinstance(prefix, list) and len(prefix) <= MAX_BRANCHES
    budget.require(is_short, f"`prefixItems` must be a list of at most {MAX_BRANCHES} schemas.")
    count.require_order(budget)
    fits_prefix = count.most is None or count.most >= len(prefix)
    budget.require(fits_prefix, "`maxItems` must not be below the number of `prefixItems`.")
    has_others = schema.get("items") is not False
    budget.require(
        has_others or (count.least or 0) <= len(prefix),
        "`minItems` must not be above the number of `prefixItems` where `items` is false.",
    )
    _check_each(prefix, budget)
    _check_others(schema, "items", budget)


def _check_object(schema: JsonObject, budget: Budget) -> None:
    required = schema.get("required", [])
    are_names = isinstance(required, list) and all(isinstance(name, str) for name in required)
    budget.require(are_names, "`required` must be a list of property names.")
    properties = _read_mapping(schema, "properties", budget)
    budget.properties += len(properties)
    most = f"the schemas of a request can have at most {MAX_PROPERTIES} properties in total."
    budget.require(max(budget.properties, len(required)) <= MAX_PROPERTIES, most)
    _check_each(properties.values(), budget)
    _check_others(schema, "additionalProperties", budget)
    for name in ("$defs", "definitions"):
        _check_each(_read_mapping(schema, name, budget).values(), budget)


def _check_branches(schema: JsonObject, budget: Budget) -> None:
    for name in BRANCH_KEYWORDS:
        branches = schema.get(name, [])
        budget.require(_is_full_list(schema, name), f"`{name}` must be a list of schemas.")
        is_single = name != "allOf" or len(branches) <= 1
        budget.require(is_single, "`allOf` with several schemas is not supported. Merge them into one.")
        budget.branches += len(branches)
        most = f"the schemas of a request can have at most {MAX_BRANCHES} alternatives in total."
        budget.require(budget.branches <= MAX_BRANCHES, most)
        _check_each(branches, budget)


CHECKS = (
    _check_type,
    _check_enum,
    _check_string,
    _check_number,
    _check_array,
    _check_object,
    _check_branches,
)


def _is_full_list(schema: JsonObject, name: str) -> bool:
    """Return whether a keyword has a list with something in it, or is absent."""
    return name not in schema or (isinstance(schema[name], list) and bool(schema[name]))


def _check_each(schemas: Iterable[Any], budget: Budget) -> None:
    for schema in schemas:
        _check_schema(schema, budget)


def _check_others(schema: JsonObject, name: str, budget: Budget) -> None:
    """Check the schema of all other items or properties; `false`: there are none."""
    others = schema.get(name, True)
    if others is not False:
        _check_schema(others, budget)


def _read_mapping(schema: JsonObject, name: str, budget: Budget) -> JsonObject:
    value: JsonObject = schema.get(name, {})
    budget.require(isinstance(value, dict), f"`{name}` must be an object.")
    return value


def _read_bounds(schema: JsonObject, least_name: str, most_name: str, limit: int, budget: Budget) -> Bounds:
    least = _read_count(schema, least_name, limit, budget)
    most = _read_count(schema, most_name, limit, budget)
    return Bounds(least_name, most_name, least, most)


def _read_count(schema: JsonObject, name: str, limit: int, budget: Budget) -> int | None:
    if name not in schema:
        return None
    value = schema[name]
    is_count = type(value) is int and 0 <= value <= limit  # a bool is an int, too
    budget.require(is_count, f"`{name}` must be a whole number between 0 and {limit}.")
    return int(value)
