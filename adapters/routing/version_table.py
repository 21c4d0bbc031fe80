"""The table version → engines, of all tenants: one row a version that serves or is on its way.

A row is a number and JSON. The number is the context that its engines have in tokens, 0 while none has it.
The JSON says what the version is (style, name, version, version_id, created, sha256, base_model) and which
engines have it: `engines` is engine name → its name there.

A style with a price of its own has `prices` at the JSON's beginning, where admission reads it beside the
number (decision 27): `input/cached/output@from`, in nano-USD a token and in milliseconds, those in force and
the announced ones, in their order; `-@from` where it costs what every style costs.
"""

import json
import math
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from adapters.models import BaseModel, Placement, Style
from adapters.routing.route_table import Version, read_versions
from tenants.metering.price_book import Schedule, schedules_of
from tenants.metering.price_book import amounts as price_amounts

type Rows = dict[str, str]  # version id → row


# A row also has the prices of an hour ago: Valkey's clock may be behind.
CLOCK_SLACK = timedelta(hours=1)


class Place(NamedTuple):
    """An engine that has a version, and its name there."""

    engine: str
    loaded_as: str
    max_model_len: int
    is_draining: bool


def rows_of_styles(styles: list[Style]) -> dict[UUID, Rows]:
    """Return style → the rows of its versions, of styles that were read with their owners; five queries."""
    versions = read_versions(styles)
    style_ids = [style.pk for style in styles]
    places = _read_places(style_ids)
    schedules = schedules_of(style_ids, timezone.now() - CLOCK_SLACK)
    base_models = dict(BaseModel.objects.values_list("pk", "name"))
    rows: dict[UUID, Rows] = {}
    for style in styles:
        rows[style.pk] = {}
        prices = _serialize_schedule(schedules.get(style.pk, []))
        for version in versions[style.pk]:
            base_model = base_models[style.base_model_id]
            row = _make_row(style, version, base_model, prices, places[version.pk])
            rows[style.pk][str(version.pk)] = row
    return rows


def _read_places(style_ids: list[UUID]) -> defaultdict[UUID, list[Place]]:
    """Return version → where it is loaded, on engines that are in service."""
    loaded = Placement.objects.filter(
        version__style__in=style_ids, is_desired=True, loaded_at__isnull=False, engine__is_gone=False
    )
    facts = ("version", "engine__name", "loaded_as", "engine__max_model_len", "engine__is_draining")
    places: defaultdict[UUID, list[Place]] = defaultdict(list)
    for version_id, *place in loaded.order_by("engine__name").values_list(*facts):
        places[version_id].append(Place(*place))
    return places


def _serialize_schedule(schedule: Schedule) -> str:
    entries = []
    for entry in schedule:
        prices = "/".join(map(str, price_amounts(entry.price))) if entry.price else "-"
        from_ms = math.ceil(entry.effective_from.timestamp() * 1000)
        entries.append(f"{prices}@{from_ms}")
    return ",".join(entries)


def _make_row(style: Style, version: Version, base_model: str, prices: str, places: list[Place]) -> str:
    engines = {place.engine: place.loaded_as for place in places}
    # First, because admission reads it by a pattern.
    facts: dict[str, object] = {"prices": prices} if prices else {}
    facts |= {
        "style": str(style.pk),
        "name": style.model_name,
        "version": version.number,
        "version_id": str(version.pk),
        "created": int(version.created_at.timestamp()),
        "sha256": version.sha256,
        "base_model": base_model,
        "engines": engines,
    }
    # A draining engine takes requests only for what is on no other.
    open_places = [place for place in places if not place.is_draining] or places
    context = min((place.max_model_len for place in open_places), default=0)
    return f"{context} {json.dumps(facts)}"
