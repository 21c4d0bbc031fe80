"""Where each name of a style leads: the routes that the data plane reads.

A style is typed as `brand-voice@3` (any version that serves), `…@canary`, `…@live` or plainly (the live one).
A route is JSON. On an engine now: style, name, version, version_id, created, about, sha256, base_model,
max_model_len and places, the healthy ones first: engine, url, healthy, lora, max_num_seqs, max_loras,
max_cpu_loras, kind. On none now: the same up to about, and "state": "loading". A name without a route is
unknown.
Where a canary runs, `canary:<name>` holds its share and its name: `10 brand-voice@canary`.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from adapters.models import AdapterVersion, Engine, Placement, Status, Style

BASE = "base"

type Route = dict[str, Any]
type Fields = dict[str, str]
type LoadedPlaces = list[tuple[Engine, str]]  # an engine, and under which name it serves what is looked for
type Places = dict[UUID, LoadedPlaces]


class Version(NamedTuple):
    """What a route tells of a version."""

    pk: UUID
    number: int
    status: str
    sha256: str
    created_at: datetime
    approved_at: datetime | None


@dataclass(frozen=True)
class StyleRoutes:
    """What the names of one style lead to, by what follows the name: "", "@live", "@canary", "@3".

    Others than its owner get of a public style only versions that operators approved: see review.py.
    """

    style: Style
    routes: Fields
    routes_of_others: Fields

    def fields(self, name: str, *, is_own: bool) -> Fields:
        """Return typed name → route for one of the names that the style has."""
        routes = self.routes if is_own else self.routes_of_others
        found = {f"{name}{alias}": route for alias, route in routes.items()}
        if "@canary" in routes:
            found[f"canary:{name}"] = f"{self.style.canary_percent} {name}@canary"
        return found


def fields_of(tenant_id: UUID) -> Fields:
    """Return typed name → route of everything that a tenant may use; its own short names win."""
    engines = _engines()
    found = names_of(list(Style.objects.usable_by(tenant_id)), engines)
    own = {names.style.slug: names for names in found if names.style.owner_id == tenant_id and names.routes}
    fields = {BASE: json.dumps(_base(engines))}
    for names in found:
        if own.get(names.style.model_name, names) is names:
            is_own = names.style.owner_id == tenant_id
            fields |= names.fields(names.style.model_name, is_own=is_own)
    for slug, names in own.items():
        fields |= names.fields(slug, is_own=True)
    return fields


def routes_of(tenant_id: UUID) -> dict[str, Route]:
    """Return typed name → route of everything that a tenant may use, without what canaries take of it."""
    fields = fields_of(tenant_id).items()
    return {name: json.loads(route) for name, route in fields if not name.startswith("canary:")}


def names_of(styles: list[Style], engines: dict[int, Engine] | None = None) -> list[StyleRoutes]:
    """Return the names of some styles with their owners at hand; three queries for all."""
    ids = [style.pk for style in styles if style.retired_at is None]
    versions = _versions(ids)
    places = _places(ids, _engines() if engines is None else engines)
    return [_names(style, versions[style.pk], places) for style in styles]


def every_field(name: str, newest: int) -> set[str]:
    """Return all fields that a name can ever have had, by the number of its style's newest version."""
    aliases = {"", "@live", "@canary", *(f"@{number}" for number in range(1, newest + 1))}
    return {f"canary:{name}", *(f"{name}{alias}" for alias in aliases)}


def _engines() -> dict[int, Engine]:
    """Return the engines, the healthy ones first."""
    engines = Engine.objects.filter(is_gone=False).select_related("base_model")
    light = engines.defer("base_model__config", "base_model__modules")
    return {engine.pk: engine for engine in light.order_by("-is_healthy", "name")}


def _versions(style_ids: list[UUID]) -> dict[UUID, list[Version]]:
    """Return what serves or is on its way, of each style, oldest first."""
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    versions = shown.filter(style__in=style_ids).order_by("number")
    found = defaultdict(list)
    for style_id, *facts in versions.values_list("style", *Version._fields):
        found[style_id].append(Version(*facts))
    return found


def _places(style_ids: list[UUID], engines: dict[int, Engine]) -> Places:
    """Return where each version is loaded, on which engine under which name, in the engines' order."""
    rows = Placement.objects.filter(
        version__style__in=style_ids, is_desired=True, loaded_at__isnull=False, engine__in=engines
    ).values_list("version", "engine", "loaded_as")
    order = {pk: number for number, pk in enumerate(engines)}
    found: Places = defaultdict(list)
    for version_id, engine, loaded_as in sorted(rows, key=lambda row: order[row[1]]):
        found[version_id].append((engines[engine], loaded_as))
    return found


def _names(style: Style, versions: list[Version], places: Places) -> StyleRoutes:
    routes = dict(_routes(style, versions, places, live=style.live_version_id, about=style.description))
    if not style.is_reviewed:
        return StyleRoutes(style, routes, routes)
    approved = [version for version in versions if version.approved_at]
    live, about = style.approved_version_id, style.approved_description
    return StyleRoutes(style, routes, dict(_routes(style, approved, places, live=live, about=about)))


def _routes(
    style: Style, versions: list[Version], places: Places, *, live: UUID | None, about: str
) -> Iterator[tuple[str, str]]:
    written = {version.pk: json.dumps(_route(style, version, places, about=about)) for version in versions}
    in_work = [version.pk for version in versions if version.status != Status.SERVING]
    for version in versions:
        if version.status == Status.SERVING:
            yield f"@{version.number}", written[version.pk]
    live = live or (in_work[-1] if in_work else None)
    if live in written:
        yield "", written[live]
        yield "@live", written[live]
    if style.canary_version_id in written:
        yield "@canary", written[style.canary_version_id]


def _route(style: Style, version: Version, places: Places, *, about: str) -> Route:
    route: Route = {
        "style": str(style.pk),
        "name": style.model_name,
        "version": version.number,
        "version_id": str(version.pk),
        "created": int(version.created_at.timestamp()),
        "about": about,
    }
    found = _open(places.get(version.pk, []))
    if not found:
        return {**route, "state": "loading"}
    return {
        **route,
        "sha256": version.sha256,
        "base_model": found[0][0].base_model.name,
        "max_model_len": min(engine.max_model_len for engine, _ in found),
        "places": [_place(engine, name) for engine, name in found],
    }


def _base(engines: dict[int, Engine]) -> Route:
    of_base = [engine for engine in engines.values() if engine.base_model.name == settings.BASE_MODEL]
    found = _open([(engine, engine.base_name) for engine in of_base])
    route: Route = {"style": None, "name": BASE, "version": None, "version_id": None, **_about_base(of_base)}
    if not found:
        return {**route, "state": "loading"}
    return {
        **route,
        "sha256": "",
        "base_model": settings.BASE_MODEL,
        "max_model_len": min(engine.max_model_len for engine, _ in found),
        "places": [_place(engine, name) for engine, name in found],
    }


def _about_base(engines: list[Engine]) -> Route:
    if not engines:
        return {"created": 0, "about": ""}
    base_model = engines[0].base_model
    return {
        "created": int(base_model.created_at.timestamp()),
        "about": f"The base model, {base_model.name}, without a style.",
    }


def _open(found: LoadedPlaces) -> LoadedPlaces:
    """Return the places that take requests: on a draining engine only those that there are nowhere else."""
    return [(engine, name) for engine, name in found if not engine.is_draining] or found


def _place(engine: Engine, name: str) -> Route:
    return {
        "engine": engine.name,
        "url": engine.url,
        "healthy": engine.is_healthy,
        "lora": name,
        "max_num_seqs": engine.max_num_seqs,
        "max_loras": engine.max_loras,
        "max_cpu_loras": engine.max_cpu_loras,
        "kind": engine.kind,
    }
