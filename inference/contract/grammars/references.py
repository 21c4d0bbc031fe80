"""The references of a JSON schema: each must lead somewhere, and not round in a circle."""

from typing import Any

from inference.contract.grammars.budget import Budget
from inference.contract.grammars.nesting import walk_objects

BRANCH_KEYWORDS = ("anyOf", "oneOf", "allOf")


def check_references(root: dict[str, Any], budget: Budget) -> None:
    """Check every `$ref` of a schema. Raises BadRequest for one that leads nowhere or back to itself."""
    for schema in walk_objects(root):
        _follow(root, schema, budget)
    _check_loops(root, budget)


def _follow(root: dict[str, Any], schema: dict[str, Any], budget: Budget) -> None:
    """Follow a chain of references to its end."""
    seen = set()
    reference = schema.get("$ref")
    while isinstance(reference, str):  # else it is a property of that name
        if reference in seen:
            raise budget.error("`$ref` may not lead back to itself.")
        seen.add(reference)
        target = _resolve(root, reference)
        if target is None:
            raise budget.error("`$ref` must lead to `#/$defs/…` of the same schema.")
        reference = target.get("$ref")


def _check_loops(root: dict[str, Any], budget: Budget) -> None:
    """Refuse alternatives that lead to themselves without writing anything (`a: anyOf [a, …]`)."""
    done: set[int] = set()

    def visit(schema: Any, path: tuple[int, ...]) -> None:
        if not isinstance(schema, dict) or id(schema) in done:
            return
        if id(schema) in path:
            raise budget.error("a schema's alternatives may not lead back to itself.")
        path = (*path, id(schema))
        for keyword in BRANCH_KEYWORDS:
            branches = schema.get(keyword)
            if isinstance(branches, list):
                for branch in branches:
                    visit(branch, path)
        if isinstance(schema.get("$ref"), str):
            visit(_resolve(root, schema["$ref"]), path)
        done.add(id(schema))

    for schema in walk_objects(root):
        visit(schema, ())


def _resolve(root: dict[str, Any], reference: str) -> dict[str, Any] | None:
    """Return the schema that a reference leads to, or None."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    value: Any = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")  # the escapes of RFC 6901
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, dict) else None
