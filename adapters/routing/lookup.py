"""Where each name of a tenant leads: the three tables joined."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from adapters.models import Engine, Style
from adapters.routing import engine_table, route_table, version_table

type Route = dict[str, Any]
type Rows = Mapping[str, str]


def routes_of(tenant_id: UUID) -> dict[str, Route]:
    """Return typed name → route of everything that a tenant may use, by the rows in PostgreSQL."""
    engines = engine_table.with_base_models(Engine.objects.all())
    versions: dict[str, str] = {}
    for rows in version_table.rows_of_styles(list(Style.objects.usable_by(tenant_id))).values():
        versions |= rows
    targets = route_table.build_fields(tenant_id)
    return join_tables(targets, versions, engine_table.rows_of_engines(list(engines)))


def join_tables(targets: Rows, versions: Rows, engines: Rows) -> dict[str, Route]:
    """Return typed name → route, without what canaries take of it.

    A route on an engine now has `max_model_len` and `places`, the healthy ones first: each an engine's facts,
    its name `engine`, and the version's name there, `lora`. One on none has `"state": "loading"`.
    """
    facts_of_engines = {name: json.loads(row) for name, row in engines.items()}
    routes = {}
    for name, target in targets.items():
        if not name.startswith("canary:"):
            _, version_id, about = target.split(" ", 2)
            facts = _describe(version_id, versions, facts_of_engines)
            loaded_as = facts.pop("engines")
            routes[name] = facts | {"about": about} | _locate(loaded_as, facts_of_engines)
    return routes


def _describe(version_id: str, versions: Rows, engines: dict[str, Route]) -> Route:
    """Return what a version is and which engines have it."""
    if version_id == route_table.BASE:
        serving = {name: facts["base"] for name, facts in engines.items() if facts["base"]}
        return {"style": None, "name": route_table.BASE, "version": None, "engines": serving}
    row = versions.get(version_id)
    if row is None:
        return {"version_id": version_id, "engines": {}}
    _, serialized = row.split(" ", 1)
    facts = dict(json.loads(serialized))
    facts.pop("prices", None)
    return facts


def _locate(loaded_as: dict[str, str], engines: dict[str, Route]) -> Route:
    """Return the part of a route that says where requests may go, or that there is no engine yet."""
    places = []
    for name, lora in loaded_as.items():
        if name in engines:
            places.append(engines[name] | {"engine": name, "lora": lora})
    open_places = [place for place in places if not place["draining"]] or places
    if not open_places:
        return {"state": "loading"}
    open_places.sort(key=lambda place: (not place["healthy"], place["engine"]))
    return {"max_model_len": min(place["max_model_len"] for place in open_places), "places": open_places}
