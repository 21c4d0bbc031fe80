"""The references of a JSON schema: each must lead to a schema that is checked, and not round in a circle.

They are followed without recursion, and each only once: a schema may have hundreds that lead to each other.
"""

from typing import Any

from inference.contract.grammars.budget import Budget
from inference.contract.grammars.nesting import walk_objects
from inference.facts import JsonObject

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
