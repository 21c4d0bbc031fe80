"""Objects and lists within each other, read without recursion: a request may nest them thousands deep."""

from collections.abc import Iterator

from inference.errors import BadRequest
from inference.facts import JsonObject

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
