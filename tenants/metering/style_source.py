"""What billing knows of styles: their names, whose they are, and that a price of theirs is another one.

Styles live on a floor above this one. That floor's functions are registered here when Django starts.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class StyleFacts:
    """One style, as everybody may know it if it is public."""

    id: UUID
    name: str
    model_name: str
    owner_id: UUID
    is_public: bool
    is_first_party: bool


@dataclass(frozen=True)
class StyleSource:
    """The floor that has styles.

    `find` takes what people write in `model=`, and returns None for an unknown name. `describe` returns the
    styles that it knows of some. `mark_repriced` has new prices published when the transaction commits.
    """

    find: Callable[[str], StyleFacts | None]
    describe: Callable[[Collection[UUID]], list[StyleFacts]]
    mark_repriced: Callable[[Collection[UUID]], None]


_registered: list[StyleSource] = []


def register_style_source(source: StyleSource) -> None:
    """Let billing ask a floor about styles."""
    if source not in _registered:
        _registered.append(source)


def find_style(model_name: str) -> StyleFacts | None:
    """Return the style that a name means in `model=`, or None."""
    for source in _registered:
        facts = source.find(model_name)
        if facts:
            return facts
    return None


def describe_styles(style_ids: Collection[UUID]) -> dict[UUID, StyleFacts]:
    """Return id → facts of those styles that exist."""
    found: dict[UUID, StyleFacts] = {}
    for source in _registered:
        for facts in source.describe(style_ids):
            found[facts.id] = facts
    return found


def mark_repriced(style_ids: Collection[UUID]) -> None:
    """Have the prices of some styles published when the transaction commits."""
    for source in _registered:
        source.mark_repriced(style_ids)
