"""Where each name leads that a workspace may type, with the engines there: all tables of routes joined."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from adapters.models import Engine, Style
from adapters.routing import tables
from inference.contract.route import BASE_NAME, NO_STYLE, Target, read_style
from tenants.models import Tenant

type Route = dict[str, Any]
type Rows = Mapping[str, str]

MARK = "@generation"


def routes_of(tenant_id: UUID) -> dict[str, Route]:
    """Return typed name → route of everything that a tenant may use, by the rows in PostgreSQL."""
    library = tables.read_libraries([tenant_id])[tenant_id]
    styles = list(Style.objects.select_related("owner"))
    shown = tables.read_versions(styles)
    by_style = tables.rows_of_styles(styles, shown)
    rows = {style.model_name: by_style[style.pk] for style in styles if style.pk in by_style}
    versions: dict[str, str] = {}
    for one in tables.rows_of_versions(styles, shown).values():
        versions |= one
    engines = tables.rows_of_engines(list(tables.with_base_models(Engine.objects.all())))
    slug = Tenant.objects.get(pk=tenant_id).slug
    return join_tables(lead(slug, library, rows), versions, engines)


def lead(slug: str, library: Rows, rows: Rows) -> dict[str, Target]:
    """Return typed name → where it leads, of a library and the table of styles."""
    targets = {BASE_NAME: Target(NO_STYLE, BASE_NAME, "")}
    own: dict[str, dict[str, Target]] = {}
    for name, right in library.items():
        style = read_style(rows.get(name), right)
        if style:
            prefix, _, short = name.rpartition("/")
            for suffix in style.versions:
                targets[f"{name}{suffix}"] = style.target(suffix)
                if prefix == slug:
                    own.setdefault(short, {})[f"{short}{suffix}"] = style.target(suffix)
    # The workspace's own style hides the first party's with all its names.
    visible = {name: target for name, target in targets.items() if name.partition("@")[0] not in own}
    for names in own.values():
        visible |= names
    return visible


def join_tables(targets: Mapping[str, Target], versions: Rows, engines: Rows) -> dict[str, Route]:
    """Return typed name → route.

    A route on an engine now has `max_model_len` and `places`, the healthy ones first: each an engine's facts,
    its name `engine`, and the version's name there, `lora`. One on none has `"state": "loading"`.
    """
    facts_of_engines = {name: json.loads(row) for name, row in engines.items()}
    routes = {}
    for name, target in targets.items():
        facts = _describe(target.version_id, versions, facts_of_engines)
        loaded_as = facts.pop("engines")
        routes[name] = facts | {"about": target.about} | _locate(loaded_as, facts_of_engines)
    return routes


def _describe(version_id: str, versions: Rows, engines: dict[str, Route]) -> Route:
    """Return what a version is and which engines have it."""
    if version_id == BASE_NAME:
        serving = {name: facts["base"] for name, facts in engines.items() if facts["base"]}
        return {"style": None, "name": BASE_NAME, "version": None, "engines": serving}
    row = versions.get(version_id)
    if row is None:
        return {"version_id": version_id, "engines": {}}
    _, serialized = row.split(" ", 1)
    return dict(json.loads(serialized))


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
