"""Fields of a body or a response as rows of a table, from their JSON Schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from core.code_marks import mark_code

MAX_DEPTH = 4  # of objects in objects; deeper ones are in the OpenAPI document
PLURALS = {
    "string": "strings",
    "integer": "integers",
    "number": "numbers",
    "boolean": "booleans",
    "object": "objects",
}
BEFORE_CHOICES = "\n\n* "  # drf-spectacular appends an enumeration's labels to the description

type JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One row: a parameter, or a field with the path to it, such as `data[].id`."""

    name: str
    type: str
    is_required: bool
    description: SafeString
    bounds: SafeString
    place: str = ""  # of a parameter: path, query or header
    depth: int = 0


class Reader:
    """Reads schemas that refer to a document's components."""

    def __init__(self, components: JsonObject) -> None:
        self.components = components

    def list_fields(self, schema: JsonObject, *, prefix: str = "", depth: int = 0) -> Iterator[Field]:
        """Yield an object's fields, required ones first, each followed by those within it."""
        whole = self.resolve(schema)
        if "items" in whole and not prefix:
            yield from self.list_fields(whole["items"], prefix="[].", depth=depth)
            return
        required = whole.get("required", [])
        fields = whole.get("properties", {}).items()
        for name, field in sorted(fields, key=lambda item: item[0] not in required):
            yield self.read_field(f"{prefix}{name}", field, is_required=name in required, depth=depth)
            inner = self.resolve(field)
            suffix = "."
            if "items" in inner:
                inner, suffix = self.resolve(inner["items"]), "[]."
            if depth < MAX_DEPTH:
                yield from self.list_fields(inner, prefix=f"{prefix}{name}{suffix}", depth=depth + 1)

    def read_field(
        self, name: str, schema: JsonObject, *, is_required: bool, place: str = "", depth: int = 0
    ) -> Field:
        """Return one row."""
        whole = self.resolve(schema)
        description, _, _ = str(whole.get("description", "")).partition(BEFORE_CHOICES)
        return Field(
            name=name,
            type=self.name_type(schema),
            is_required=is_required,
            description=mark_code(description),
            bounds=mark_code(self.describe_bounds(whole)),
            place=place,
            depth=depth,
        )

    def resolve(self, schema: JsonObject) -> JsonObject:
        """Return a schema with its reference followed; of "this or null", what it is when it is not null.

        What stands beside a reference, such as a description, comes before what it refers to.
        """
        if "$ref" in schema:
            return self.resolve(self.components[schema["$ref"].rpartition("/")[2]])
        if "allOf" in schema:
            return {**self.resolve(schema["allOf"][0]), **_without(schema, "allOf")}
        variants = [self.resolve(variant) for variant in schema.get("oneOf", [])]
        real = [variant for variant in variants if not _is_nothing(variant)]
        return {**real[0], **_without(schema, "oneOf")} if len(real) == 1 else schema

    def name_type(self, schema: JsonObject) -> str:
        """Return the words for a type, such as "array of strings or null"."""
        names = list(dict.fromkeys(self._type_names(schema)))
        if "null" in names:
            names.remove("null")
            names.append("null")
        return " or ".join(names)

    def _type_names(self, schema: JsonObject) -> Iterator[str]:
        if "$ref" in schema or "allOf" in schema:
            yield from self._type_names(self.resolve(schema))
            return
        for variant in schema.get("oneOf", []):
            yield from self._type_names(variant)
        if "oneOf" in schema:
            return
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield self._name_kind(kind, schema)
        if not kinds and "enum" in schema:
            yield "null" if schema["enum"] == [None] else "string"

    def _name_kind(self, kind: str, schema: JsonObject) -> str:
        if kind == "array":
            items = self.name_type(schema.get("items", {}))
            return f"array of {PLURALS.get(items, items)}" if items else "array"
        if kind == "string" and schema.get("format") in ("uuid", "date", "date-time", "binary", "uri"):
            return f"string ({schema['format']})"
        return kind

    def describe_bounds(self, schema: JsonObject) -> str:
        """Return the bounds of a value, such as "1 to 100. Default: `20`.", or ""."""
        sentences = [
            self._describe_choices(schema),
            _describe_range(schema.get("minimum"), schema.get("maximum"), ""),
            _describe_range(schema.get("minLength"), schema.get("maxLength"), "character"),
            _describe_range(schema.get("minItems"), schema.get("maxItems"), "item"),
        ]
        if schema.get("default") not in (None, "") and not schema.get("readOnly"):
            sentences.append(f"Default: `{_as_json(schema['default'])}`.")
        return " ".join(sentence for sentence in sentences if sentence)

    def _describe_choices(self, schema: JsonObject) -> str:
        inner = self.resolve(schema["items"]) if "items" in schema else schema
        values = [value for value in inner.get("enum", []) if value not in (None, "")]
        shown = ", ".join(f"`{value}`" for value in values)
        return f"{'One of' if len(values) > 1 else 'Always'} {shown}." if values else ""


def _without(schema: JsonObject, name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}


def _is_nothing(schema: JsonObject) -> bool:
    return schema.get("type") == "null" or schema.get("enum") in ([None], [""])


def _describe_range(low: float | None, high: float | None, unit: str) -> str:
    """Return a range in words; "" where there is none that a person would ask about."""
    if unit and low is not None and low <= 1:
        low = None  # "at least one character" is what "required" says
    if high is not None and high > 2**31:
        high = None
    if high is not None:
        noun = f" {unit}{'s' if high != 1 else ''}" if unit else ""
        start = f"{low:,} to" if low is not None else "Up to"
        return f"{start} {high:,}{noun}."
    return f"At least {low:,}{f' {unit}s' if unit else ''}." if low is not None else ""


def _as_json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
