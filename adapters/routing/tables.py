"""What routes are made of: the libraries of workspaces, and the rows of engines, styles and versions."""

import json
import math
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Selection, Share, Status, Style
from adapters.models.engines import EngineQuerySet
from adapters.models.styles import is_public_now, model_name_of
from core import valkey
from metering.price_book import Schedule, schedules_of

# The libraries: which styles a workspace may use, and by what right. Each workspace has a hash of its own.
#
# A model name leads to `own`, `shared` (it is selected, and its owner shares it) or `selected` (which
# counts while the style is public). Where the name leads, and whether the style serves, is retired or
# suspended is in the style's row, which is one for all.

WRITE_LIBRARY = (Path(__file__).parent / "write_library.lua").read_text()
OWN, SHARED, SELECTED = "own", "shared", "selected"

type Library = dict[str, str]  # model name → right


def read_libraries(tenant_ids: Collection[UUID]) -> dict[UUID, Library]:
    """Return tenant → what it may use, as the rows in PostgreSQL say; two queries."""
    libraries: dict[UUID, Library] = defaultdict(dict)
    in_force = Share.objects.in_force().filter(style=OuterRef("style"), tenant=OuterRef("tenant"))
    selections = Selection.objects.filter(tenant__in=tenant_ids).annotate(is_shared=Exists(in_force))
    style = ("style__slug", "style__owner__slug", "style__owner__is_first_party")
    for tenant_id, is_shared, slug, owner, is_first_party in selections.values_list(
        "tenant", "is_shared", *style
    ):
        name = model_name_of(slug, owner, is_first_party=is_first_party)
        libraries[tenant_id][name] = SHARED if is_shared else SELECTED
    own = Style.objects.filter(owner__in=tenant_ids)
    for tenant_id, slug, owner, is_first_party in own.values_list(
        "owner", "slug", "owner__slug", "owner__is_first_party"
    ):
        name = model_name_of(slug, owner, is_first_party=is_first_party)
        libraries[tenant_id][name] = OWN
    return libraries


def write_libraries(libraries: dict[UUID, Library], generations: dict[UUID, int]) -> dict[UUID, int]:
    """Write libraries that were read after these generations of their tenants, each in one step.

    Returns tenant → newer generation of those that Valkey refused, since it has a later change of them.
    """
    write = valkey.client().register_script(WRITE_LIBRARY)
    pipeline = valkey.client().pipeline(transaction=False)
    for tenant_id, generation in generations.items():
        arguments: list[str | int] = [generation]
        for name, right in libraries.get(tenant_id, {}).items():
            arguments += [name, right]
        write([valkey.library_key(tenant_id)], arguments, client=pipeline)
    answers = dict(zip(generations, pipeline.execute(), strict=True))
    return {tenant_id: newer for tenant_id, newer in answers.items() if newer}


# The table engine → facts: one row an engine that is in service, as JSON.
#
# `url`, `kind`, `healthy`, `draining`, its limits `max_model_len`, `max_num_seqs`, `max_loras` and
# `max_cpu_loras`, and its `base_model`. `base` is the name under which it serves the product's base model
# without a style, "" if it serves another one; `base_created` is when that was registered, in Unix seconds.


def rows_of_engines(engines: list[Engine]) -> dict[str, str]:
    """Return the rows of those engines, read with their base models, that are in service."""
    rows: dict[str, str] = {}
    for engine in engines:
        if not engine.is_gone:
            rows[engine.name] = json.dumps(_describe(engine))
    return rows


def with_base_models(engines: EngineQuerySet) -> EngineQuerySet:
    """Return engines to be read with their base models, without the shapes of weights, which are large."""
    return engines.select_related("base_model").defer("base_model__config", "base_model__modules")


def _describe(engine: Engine) -> dict[str, object]:
    base_model = engine.base_model
    return {
        "url": engine.url,
        "kind": engine.kind,
        "healthy": engine.is_healthy,
        "draining": engine.is_draining,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        "max_loras": engine.max_loras,
        "max_cpu_loras": engine.max_cpu_loras,
        "base_model": base_model.name,
        "base": base_model.name if base_model.name == settings.BASE_MODEL else "",
        "base_created": int(base_model.created_at.timestamp()),
    }


# The table model name → versions, of all workspaces: one row a style of which a version can be named.
#
# A style is typed as `acme/brand-voice@3` (any version that serves), `…@canary`, `…@live` or plainly (the
# live one). A name without a workspace means the caller's own style, else the first party's (decision 53).
# A row is JSON:
#
# - `style`: the style's id
# - `is_public`: whether those may use it who selected it from the catalogue
# - `owner`, `others`: what the owner gets, and everybody else if that differs, which is so while a public
#   style waits for an approval. Each has `versions`, what follows the name → a version's id; `about`, for the
#   list of models; and while a canary runs, `canary_percent`, its share of the plain name.
# - `prices`, of a style that has prices of its own (decision 27): `input/cached/output@from`, in nano-USD a
#   token and in milliseconds, those in force and the announced ones, in their order; `-@from` where it costs
#   what every style costs.

# A row also has the prices of an hour ago: Valkey's clock may be behind.
CLOCK_SLACK = timedelta(hours=1)

type View = dict[str, object]


class Version(NamedTuple):
    """What the tables of routes say of a version."""

    pk: UUID
    number: int
    status: str
    sha256: str
    created_at: datetime
    approved_at: datetime | None
    auto_promote: bool


def read_versions(styles: list[Style]) -> dict[UUID, list[Version]]:
    """Return style → what serves or is on its way, oldest first. Nothing of a retired or suspended one."""
    ids = [style.pk for style in styles if style.retired_at is None and style.suspended_at is None]
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    rows = shown.filter(style__in=ids).order_by("number")
    versions = defaultdict(list)
    for style_id, *facts in rows.values_list("style", *Version._fields):
        versions[style_id].append(Version(*facts))
    return versions


def rows_of_styles(styles: list[Style], versions: dict[UUID, list[Version]]) -> dict[UUID, str]:
    """Return style → its row, of those styles, read with their owners, that have versions; two queries."""
    ids = [style.pk for style in styles]
    public = Style.objects.filter(is_public_now(), pk__in=ids)
    public_ids = set(public.values_list("pk", flat=True))
    schedules = schedules_of(ids, timezone.now() - CLOCK_SLACK)
    rows = {}
    for style in styles:
        if versions[style.pk]:
            row: View = {"style": str(style.pk), "is_public": style.pk in public_ids}
            row |= _views(style, versions[style.pk])
            if style.pk in schedules:
                row["prices"] = _serialize_schedule(schedules[style.pk])
            rows[style.pk] = json.dumps(row)
    return rows


def _views(style: Style, versions: list[Version]) -> dict[str, View]:
    views = {"owner": _view(style, versions, live_id=style.live_version_id, about=style.description)}
    if style.is_reviewed:
        approved = [version for version in versions if version.approved_at]
        about = style.approved_description
        views["others"] = _view(style, approved, live_id=style.approved_version_id, about=about)
    return views


def _view(style: Style, versions: list[Version], *, live_id: UUID | None, about: str) -> View:
    """Return where a style's names lead.

    Where no version is live, the plain name leads to the newest one that is about to go live by itself.
    """
    shown = set()
    named: dict[str, str] = {}
    on_its_way = None
    for version in versions:
        shown.add(version.pk)
        if version.status == Status.SERVING:
            named[f"@{version.number}"] = str(version.pk)
        elif version.auto_promote:
            on_its_way = version.pk
    # So that a request for a new style waits for it instead of getting 404.
    live_id = live_id or on_its_way
    if live_id in shown:
        named[""] = named["@live"] = str(live_id)
    view: View = {"versions": named, "about": about}
    if style.canary_version_id in shown:
        named["@canary"] = str(style.canary_version_id)
        view["canary_percent"] = style.canary_percent
    return view


def _serialize_schedule(schedule: Schedule) -> str:
    entries = []
    for entry in schedule:
        prices = "/".join(map(str, entry.amounts)) if entry.amounts else "-"
        from_ms = math.ceil(entry.effective_from.timestamp() * 1000)
        entries.append(f"{prices}@{from_ms}")
    return ",".join(entries)


# The table version → engines, of all tenants: one row a version that serves or is on its way.
#
# A row is a number and JSON. The number is the context that its engines have in tokens, 0 while none has
# it. The JSON says what the version is (style, name, version, version_id, created, sha256, base_model) and
# which engines have it: `engines` is engine name → its name there. `temperature` and `top_p` are there
# where the style's owner set them.


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
