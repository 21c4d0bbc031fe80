"""The route table: where each name of a style leads. The data plane reads it.

A style is typed as `brand-voice@3` (any version that serves), `…@canary`, `…@live` or plainly (the live one).
A route is JSON. On an engine now: style, name, version, version_id, created, about, sha256, base_model,
max_model_len and places, the healthy ones first: engine, url, healthy, lora, max_num_seqs, max_loras,
max_cpu_loras, kind. On none now: the same up to about, and "state": "loading". A name without a route is
unknown.
Where a canary runs, `canary:<name>` holds its share and its name: `10 brand-voice@canary`.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from adapters.models import AdapterVersion, Engine, Placement, Status, Style

BASE = "base"

type Route = dict[str, Any]
type Fields = dict[str, str]  # a name as clients type it → its route


class Version(NamedTuple):
    """What a route is made of, of a version."""

    pk: UUID
    number: int
    status: str
    sha256: str
    created_at: datetime
    approved_at: datetime | None


class Place(NamedTuple):
    """An engine, and the name under which it serves a version."""

    engine: Engine
    lora: str


type Places = dict[UUID, list[Place]]


@dataclass(frozen=True)
class StyleRoutes:
    """The routes of one style, by what follows its name: "", "@live", "@canary", "@3".

    Workspaces other than its owner get only the approved versions of a public style: see releases/review.py.
    """

    style: Style
    for_owner: Fields
    for_others: Fields

    def fields(self, name: str, *, is_own: bool) -> Fields:
        """Return typed name → route for one of the names that the style has."""
        routes = self.for_owner if is_own else self.for_others
        fields = {}
        for suffix, route in routes.items():
            fields[f"{name}{suffix}"] = route
        if "@canary" in routes:
            fields[f"canary:{name}"] = f"{self.style.canary_percent} {name}@canary"
        return fields


def fields_of(tenant_id: UUID) -> Fields:
    """Return typed name → route of everything that a tenant may use; its own short names win."""
    engines = _read_engines()
    found = routes_of_styles(list(Style.objects.usable_by(tenant_id)), engines)
    own_slugs = set()
    for routes in found:
        if routes.style.owner_id == tenant_id and routes.for_owner:
            own_slugs.add(routes.style.slug)

    fields = {BASE: json.dumps(_base_route(engines))}
    for routes in found:
        style = routes.style
        if style.owner_id == tenant_id:
            fields |= routes.fields(style.model_name, is_own=True)
            fields |= routes.fields(style.slug, is_own=True)
        # Another's style is hidden with all its aliases: `poetry@2` must not lead to it if `poetry` does not.
        elif style.model_name not in own_slugs:
            fields |= routes.fields(style.model_name, is_own=False)
    return fields


def routes_of(tenant_id: UUID) -> dict[str, Route]:
    """Return typed name → route of everything that a tenant may use, without what canaries take of it."""
    routes = {}
    for name, route in fields_of(tenant_id).items():
        if not name.startswith("canary:"):
            routes[name] = json.loads(route)
    return routes


def routes_of_styles(styles: list[Style], engines: dict[int, Engine] | None = None) -> list[StyleRoutes]:
    """Return the routes of some styles, read with their owners; three queries for all."""
    # A retired style has no versions here, so no routes: its names end.
    ids = [style.pk for style in styles if style.retired_at is None]
    versions = _read_versions(ids)
    places = _read_places(ids, _read_engines() if engines is None else engines)
    return [_routes_of_style(style, versions[style.pk], places) for style in styles]


def every_field(name: str, newest: int) -> set[str]:
    """Return all fields that a name can ever have had, by the number of its style's newest version."""
    fields = {name, f"{name}@live", f"{name}@canary", f"canary:{name}"}
    for number in range(1, newest + 1):
        fields.add(f"{name}@{number}")
    return fields


def _read_engines() -> dict[int, Engine]:
    """Return the engines that are in service, the healthy ones first."""
    engines = Engine.objects.filter(is_gone=False).select_related("base_model")
    # The shapes of a base model's weights are large, and no route says anything of them.
    light = engines.defer("base_model__config", "base_model__modules")
    return {engine.pk: engine for engine in light.order_by("-is_healthy", "name")}


def _read_versions(style_ids: list[UUID]) -> dict[UUID, list[Version]]:
    """Return what serves or is on its way, of each style, oldest first."""
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    rows = shown.filter(style__in=style_ids).order_by("number")
    versions = defaultdict(list)
    for style_id, *facts in rows.values_list("style", *Version._fields):
        versions[style_id].append(Version(*facts))
    return versions


def _read_places(style_ids: list[UUID], engines: dict[int, Engine]) -> Places:
    """Return where each version is loaded, the healthy engines first."""
    loaded = Placement.objects.filter(
        version__style__in=style_ids, is_desired=True, loaded_at__isnull=False, engine__in=engines
    )
    rows = loaded.order_by("-engine__is_healthy", "engine__name")
    places: Places = defaultdict(list)
    for version_id, engine_id, loaded_as in rows.values_list("version", "engine", "loaded_as"):
        places[version_id].append(Place(engines[engine_id], loaded_as))
    return places


def _routes_of_style(style: Style, versions: list[Version], places: Places) -> StyleRoutes:
    for_owner = _routes(style, versions, places, live_id=style.live_version_id, about=style.description)
    if not style.is_reviewed:
        return StyleRoutes(style, for_owner, for_owner)
    approved = [version for version in versions if version.approved_at]
    live_id = style.approved_version_id
    for_others = _routes(style, approved, places, live_id=live_id, about=style.approved_description)
    return StyleRoutes(style, for_owner, for_others)


def _routes(
    style: Style, versions: list[Version], places: Places, *, live_id: UUID | None, about: str
) -> Fields:
    """Return what follows a style's name → route. Where no version is live, the newest on its way loads."""
    routes: Fields = {}
    serialized: dict[UUID, str] = {}
    on_its_way = None
    for version in versions:
        # Once for all the names that lead to it.
        serialized[version.pk] = json.dumps(_version_route(style, version, places, about=about))
        if version.status == Status.SERVING:
            routes[f"@{version.number}"] = serialized[version.pk]
        else:
            on_its_way = version.pk
    live_id = live_id or on_its_way
    if live_id in serialized:
        routes[""] = serialized[live_id]
        routes["@live"] = serialized[live_id]
    if style.canary_version_id in serialized:
        routes["@canary"] = serialized[style.canary_version_id]
    return routes


def _version_route(style: Style, version: Version, places: Places, *, about: str) -> Route:
    return {
        "style": str(style.pk),
        "name": style.model_name,
        "version": version.number,
        "version_id": str(version.pk),
        "created": int(version.created_at.timestamp()),
        "about": about,
        **_location(places.get(version.pk, []), sha256=version.sha256),
    }


def _base_route(engines: dict[int, Engine]) -> Route:
    """Return the route of the base model without a style, on every engine that serves it."""
    places = []
    created = 0
    about = ""
    for engine in engines.values():
        if engine.base_model.name == settings.BASE_MODEL:
            places.append(Place(engine, engine.base_name))
            created = int(engine.base_model.created_at.timestamp())
            about = f"The base model, {engine.base_model}, without a style."
    return {
        "style": None,
        "name": BASE,
        "version": None,
        "version_id": None,
        "created": created,
        "about": about,
        **_location(places, sha256=""),
    }


def _location(places: list[Place], *, sha256: str) -> Route:
    """Return the part of a route that says where requests may go, or that there is no engine yet."""
    # A draining engine takes requests only for what is on no other.
    open_places = [place for place in places if not place.engine.is_draining] or places
    if not open_places:
        return {"state": "loading"}
    return {
        "sha256": sha256,
        "base_model": open_places[0].engine.base_model.name,
        "max_model_len": min(place.engine.max_model_len for place in open_places),
        "places": [_place_json(place) for place in open_places],
    }


def _place_json(place: Place) -> Route:
    engine = place.engine
    return {
        "engine": engine.name,
        "url": engine.url,
        "healthy": engine.is_healthy,
        "lora": place.lora,
        "max_num_seqs": engine.max_num_seqs,
        "max_loras": engine.max_loras,
        "max_cpu_loras": engine.max_cpu_loras,
        "kind": engine.kind,
    }
