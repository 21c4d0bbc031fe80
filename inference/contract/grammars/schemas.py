"""JSON schemas: which keywords the engine follows, and what each costs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from inference.contract.grammars.budget import Budget
from inference.contract.grammars.nesting import check_depth
from inference.contract.grammars.patterns import MAX_REPEAT, check_pattern
from inference.contract.grammars.references import check_references
from inference.errors import BadRequest

MAX_BYTES = 16 * 1024  # of all schemas of a request, as JSON
MAX_PROPERTIES = 256
MAX_ENUM_VALUES = 1024
MAX_BRANCHES = 128  # of anyOf, oneOf and allOf
MAX_ITEMS = 1000  # minItems, maxItems
MAX_KEYWORD_CHARACTERS_SHOWN = 64
INT64 = 2**63

KEYWORDS = {
    "$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "definitions", "enum",
    "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maximum", "minItems",
    "minLength", "minimum", "oneOf", "pattern", "prefixItems", "properties", "required", "type",
}  # fmt: skip
# These don't change which answers are valid.
ANNOTATIONS = {
    "$anchor", "$comment", "$id", "$schema", "contentEncoding", "contentMediaType", "default", "deprecated",
    "description", "discriminator", "example", "examples", "readOnly", "title", "writeOnly",
}  # fmt: skip
TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
FORMATS = {
    "date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri",
    "uri-reference", "json-pointer", "relative-json-pointer",
}  # fmt: skip
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
        if self.least is not None and self.most is not None and self.least > self.most:
            raise budget.error(f"`{self.least_name}` must not be above `{self.most_name}`.")


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
        if not isinstance(schema, dict):
            raise budget.error("the schema must be an object.")
        check_references(schema, budget)
        _check_schema(schema, budget)


def _check_schema(schema: Any, budget: Budget) -> None:
    """Check one schema and those in it."""
    if schema is True:
        return
    if schema is False:
        raise budget.error("`false` is only allowed for `items` and `additionalProperties`.")
    if not isinstance(schema, dict):
        raise budget.error("each part of the schema must be an object, true or false.")
    if schema.get("propertyNames") == {"type": "string"}:
        del schema["propertyNames"]  # zod writes it; names are always texts
    unknown = schema.keys() - KEYWORDS - ANNOTATIONS
    if unknown:
        keyword = min(unknown)[:MAX_KEYWORD_CHARACTERS_SHOWN]
        raise budget.error(f"the schema keyword `{keyword}` is not supported: the output wouldn't follow it.")
    if not isinstance(schema.get("$ref", ""), str):
        raise budget.error("`$ref` must be a string.")
    _check_type(schema, budget)
    _check_enum(schema, budget)
    _check_string(schema, budget)
    _check_number(schema, budget)
    _check_array(schema, budget)
    _check_object(schema, budget)
    _check_branches(schema, budget)


def _check_type(schema: dict[str, Any], budget: Budget) -> None:
    if "type" not in schema:
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not kinds or not all(isinstance(kind, str) and kind in TYPES for kind in kinds):
        raise budget.error(f"`type` must be one of {', '.join(sorted(TYPES))}, or a list of them.")


def _check_enum(schema: dict[str, Any], budget: Budget) -> None:
    values = schema.get("enum", [])
    if not isinstance(values, list) or ("enum" in schema and not values):
        raise budget.error("`enum` must be a list of values.")
    budget.enum_values += len(values)
    if budget.enum_values > MAX_ENUM_VALUES:
        raise budget.error(f"a request's schemas can have at most {MAX_ENUM_VALUES} `enum` values in total.")


def _check_string(schema: dict[str, Any], budget: Budget) -> None:
    text_format = schema.get("format")
    pattern = schema.get("pattern")
    length = _read_bounds(schema, "minLength", "maxLength", MAX_REPEAT, budget)
    has_format = text_format is not None
    has_pattern = pattern is not None
    if length.are_set and (has_format or has_pattern):
        raise budget.error("`pattern` and `format` can't be combined with a length.")
    if has_format and has_pattern:
        raise budget.error("`pattern` can't be combined with `format`.")
    if has_format:
        _check_format(text_format, budget)
    elif has_pattern:
        check_pattern(pattern, budget)
    elif length.are_set:
        length.require_order(budget)


def _check_format(text_format: Any, budget: Budget) -> None:
    if not isinstance(text_format, str) or text_format not in FORMATS:
        raise budget.error(f"`format` must be one of {', '.join(sorted(FORMATS))}.")


def _check_number(schema: dict[str, Any], budget: Budget) -> None:
    for name in NUMBER_BOUNDS:
        if name in schema:
            _check_number_bound(name, schema[name], budget)
    if not _has_number(schema, budget):
        raise budget.error("no number satisfies its bounds.")


def _check_number_bound(name: str, value: Any, budget: Budget) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise budget.error(f"`{name}` must be a number.")
    # vLLM 0.32 answers 500 beyond 64 bits.
    if not math.isfinite(value) or not -INT64 < value < INT64:
        raise budget.error(f"`{name}` must fit in 64 bits.")


def _has_number(schema: dict[str, Any], budget: Budget) -> bool:
    """Return whether a number, or a whole number, is between a schema's bounds."""
    low = max(schema.get("minimum", -INT64), schema.get("exclusiveMinimum", -INT64))
    high = min(schema.get("maximum", INT64), schema.get("exclusiveMaximum", INT64))
    excludes_low = low == schema.get("exclusiveMinimum")
    excludes_high = high == schema.get("exclusiveMaximum")
    kinds = schema.get("type")
    if kinds == "integer" or (isinstance(kinds, list) and "integer" in kinds):
        if low != int(low) or high != int(high):
            raise budget.error("the bounds of an integer must be whole numbers.")
        return bool(low + excludes_low <= high - excludes_high)
    if excludes_low or excludes_high:
        return bool(low < high)
    return bool(low <= high)


def _check_array(schema: dict[str, Any], budget: Budget) -> None:
    count = _read_bounds(schema, "minItems", "maxItems", MAX_ITEMS, budget)
    prefix = schema.get("prefixItems", [])
    if not isinstance(prefix, list) or len(prefix) > MAX_BRANCHES:
        raise budget.error(f"`prefixItems` must be a list of at most {MAX_BRANCHES} schemas.")
    count.require_order(budget)
    if count.most is not None and count.most < len(prefix):
        raise budget.error("`maxItems` must not be below the number of `prefixItems`.")
    if schema.get("items") is False and (count.least or 0) > len(prefix):
        raise budget.error("`minItems` must not be above the number of `prefixItems` where `items` is false.")
    _check_each(prefix, budget)
    _check_others(schema, "items", budget)


def _check_object(schema: dict[str, Any], budget: Budget) -> None:
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise budget.error("`required` must be a list of property names.")
    properties = _read_mapping(schema, "properties", budget)
    budget.properties += len(properties)
    if max(budget.properties, len(required)) > MAX_PROPERTIES:
        raise budget.error(f"the schemas of a request can have at most {MAX_PROPERTIES} properties in total.")
    _check_each(properties.values(), budget)
    _check_others(schema, "additionalProperties", budget)
    for name in ("$defs", "definitions"):
        _check_each(_read_mapping(schema, name, budget).values(), budget)


def _check_branches(schema: dict[str, Any], budget: Budget) -> None:
    for name in BRANCH_KEYWORDS:
        branches = schema.get(name, [])
        if not isinstance(branches, list) or (name in schema and not branches):
            raise budget.error(f"`{name}` must be a list of schemas.")
        if name == "allOf" and len(branches) > 1:
            raise budget.error("`allOf` with several schemas is not supported. Merge them into one.")
        budget.branches += len(branches)
        if budget.branches > MAX_BRANCHES:
            raise budget.error(
                f"the schemas of a request can have at most {MAX_BRANCHES} alternatives in total."
            )
        _check_each(branches, budget)


def _check_each(schemas: Iterable[Any], budget: Budget) -> None:
    for schema in schemas:
        _check_schema(schema, budget)


def _check_others(schema: dict[str, Any], name: str, budget: Budget) -> None:
    """Check the schema of all other items or properties; `false`: there are none."""
    others = schema.get(name, True)
    if others is not False:
        _check_schema(others, budget)


def _read_mapping(schema: dict[str, Any], name: str, budget: Budget) -> dict[str, Any]:
    value = schema.get(name, {})
    if not isinstance(value, dict):
        raise budget.error(f"`{name}` must be an object.")
    return value


def _read_bounds(
    schema: dict[str, Any], least_name: str, most_name: str, limit: int, budget: Budget
) -> Bounds:
    least = _read_count(schema, least_name, limit, budget)
    most = _read_count(schema, most_name, limit, budget)
    return Bounds(least_name, most_name, least, most)


def _read_count(schema: dict[str, Any], name: str, limit: int, budget: Budget) -> int | None:
    if name not in schema:
        return None
    value = schema[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise budget.error(f"`{name}` must be a whole number between 0 and {limit}.")
    return value
