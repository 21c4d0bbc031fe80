"""The table version → engines, of all tenants: one row a version that serves or is on its way.

A row is a number and JSON. The number is the context that its engines have in tokens, 0 while none has it.
The JSON says what the version is (style, name, version, version_id, created, sha256, base_model) and which
engines have it: `engines` is engine name → its name there. `temperature` and `top_p` are there where the
style's owner set them.
"""

import json
from collections import defaultdict
from typing import NamedTuple
from uuid import UUID

from adapters.models import BaseModel, Placement, Style
from adapters.routing.tables import Version


class ServingEngine(NamedTuple):
    """An engine that has a version, and its name there."""

    engine: str
    loaded_as: str
    max_model_len: int
    is_draining: bool


def rows_of_versions(styles: list[Style], versions: dict[UUID, list[Version]]) -> dict[UUID, dict[str, str]]:
    """Return style → the rows of its versions, of styles that were read with their owners; two queries."""
    places = _read_places([style.pk for style in styles])
    base_models = dict(BaseModel.objects.values_list("pk", "name"))
    rows: dict[UUID, dict[str, str]] = {}
    for style in styles:
        rows[style.pk] = {}
        base_model = base_models[style.base_model_id]
        for version in versions[style.pk]:
            rows[style.pk][str(version.pk)] = _make_row(style, version, base_model, places[version.pk])
    return rows


def _read_places(style_ids: list[UUID]) -> defaultdict[UUID, list[ServingEngine]]:
    """Return version → where it is loaded, on engines that are in service."""
    loaded = Placement.objects.filter(
        version__style__in=style_ids, is_desired=True, loaded_at__isnull=False, engine__is_gone=False
    )
    facts = ("version", "engine__name", "loaded_as", "engine__max_model_len", "engine__is_draining")
    places: defaultdict[UUID, list[ServingEngine]] = defaultdict(list)
    for version_id, *place in loaded.order_by("engine__name").values_list(*facts):
        places[version_id].append(ServingEngine(*place))
    return places


def _make_row(style: Style, version: Version, base_model: str, places: list[ServingEngine]) -> str:
    facts = {
        "style": str(style.pk),
        "name": style.model_name,
        "version": version.number,
        "version_id": str(version.pk),
        "created": int(version.created_at.timestamp()),
        "sha256": version.sha256,
        "base_model": base_model,
        "engines": {place.engine: place.loaded_as for place in places},
    }
    if style.temperature is not None:
        facts["temperature"] = style.temperature
    if style.top_p is not None:
        facts["top_p"] = style.top_p
    # A draining engine takes requests only for what is on no other.
    open_places = [place for place in places if not place.is_draining] or places
    context = min((place.max_model_len for place in open_places), default=0)
    return f"{context} {json.dumps(facts)}"
