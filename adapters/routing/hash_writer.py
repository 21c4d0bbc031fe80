"""Write the hashes of names in Valkey: each tenant has one, of all that it may type.

No lock keeps writers apart. Each reads a hash's revision, then the rows, then writes only where the revision
is still the same: so what was read earlier never takes the place of what was read later.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import batched
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db.models import F, Max, QuerySet
from redis.client import Pipeline

from adapters.models import Selection, Style
from adapters.routing import route_table
from core import valkey

UPDATE_NAMES = (Path(__file__).parent / "update_names.lua").read_text()
REPLACE_NAMES = (Path(__file__).parent / "replace_names.lua").read_text()
NEW_HASH_LASTS_S = 60  # what a killed writer leaves is gone after that
KEYS_PER_BATCH = 500  # Valkey serves nobody else meanwhile
FIELDS_PER_BATCH = 500


class Update(NamedTuple):
    """What some tenants are to have of one style, and all names under which they may know it."""

    tenant_ids: set[UUID]
    names: set[str]
    fields: route_table.Fields

    def arguments(self, newest: int) -> list[str | int]:
        """Return what update_names.lua takes: how many fields go, these, then fields with targets."""
        gone: set[str] = set()
        for name in self.names:
            gone |= route_table.every_field(name, newest)
        gone -= self.fields.keys()
        arguments: list[str | int] = [len(gone), *gone]
        for field, target in self.fields.items():
            arguments += [field, target]
        return arguments


def read_revisions(tenant_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the revision of each tenant's hash; read it before the rows."""
    batches = list(batched(tenant_ids, KEYS_PER_BATCH))
    pipeline = valkey.client().pipeline(transaction=False)
    for batch in batches:
        pipeline.mget([valkey.routes_revision_key(tenant_id) for tenant_id in batch])
    revisions: dict[UUID, str] = {}
    for batch, found in zip(batches, pipeline.execute(), strict=True):
        for tenant_id, revision in zip(batch, found, strict=True):
            revisions[tenant_id] = revision or ""
    return revisions


def replace_hash(tenant_id: UUID, fields: route_table.Fields, *, seen: str) -> bool:
    """Put a new hash in the place of a tenant's in one step; return False if its revision is not `seen` now.

    The new hash is written in batches beforehand, so that Valkey keeps nobody waiting.
    """
    key = valkey.styles_key(tenant_id)
    revision = uuid4().hex
    new = f"{key}:new:{revision}"
    pipeline = valkey.client().pipeline(transaction=False)
    for batch in batched(fields.items(), FIELDS_PER_BATCH):
        pipeline.hset(new, mapping=dict(batch))
    pipeline.expire(new, NEW_HASH_LASTS_S)
    replace = valkey.client().register_script(REPLACE_NAMES)
    keys = [new, key, valkey.routes_revision_key(tenant_id)]
    replace(keys=keys, args=[seen, revision], client=pipeline)
    return bool(pipeline.execute()[-1])


def update_styles(styles: list[Style], revisions: dict[UUID, str]) -> set[UUID]:
    """Write the names of some styles into the hashes of all who use them, where the revisions still hold.

    Returns the tenants whose hash is to be replaced as a whole: another writer has changed it since, or two
    of the tenant's styles have the same short name.
    """
    newest = _newest_numbers(styles)
    clashes = _find_name_clashes(styles)
    selections = Selection.objects.filter(style__in=styles).exclude(tenant=F("style__owner"))
    selected = _tenants_by_style(selections)
    allowed = _tenants_by_style(selections.in_force())
    revision = uuid4().hex
    pipeline = valkey.client().pipeline(transaction=False)
    written: list[tuple[UUID, ...]] = []
    to_replace: set[UUID] = set()
    # After the revisions: rows that are read now are at least as new.
    for routes in route_table.routes_of_styles(styles):
        pk = routes.style.pk
        for update in _updates(routes, selected=selected[pk], allowed=allowed[pk]):
            to_replace |= update.tenant_ids & clashes[pk]
            to_replace |= update.tenant_ids - revisions.keys()  # they selected the style meanwhile
            arguments = update.arguments(newest.get(pk, 0))
            for batch in batched(update.tenant_ids - to_replace, KEYS_PER_BATCH):
                seen = [revisions[tenant_id] for tenant_id in batch]
                _queue_update(pipeline, batch, [revision, *seen, *arguments])
                written.append(batch)
    for batch, changed_places in zip(written, pipeline.execute(), strict=True):
        to_replace.update(batch[place - 1] for place in changed_places)
    return to_replace


def _updates(routes: route_table.StyleRoutes, *, selected: set[UUID], allowed: set[UUID]) -> list[Update]:
    """Return what the owner of a style, who may use it, and who may no longer are to have of it."""
    style = routes.style
    name = style.model_name
    own = routes.fields(name, is_own=True) | routes.fields(style.slug, is_own=True)
    return [
        Update({style.owner_id}, {name, style.slug}, own),
        Update(allowed, {name}, routes.fields(name, is_own=False)),
        Update(selected - allowed, {name}, {}),
    ]


def _queue_update(pipeline: Pipeline, tenant_ids: Iterable[UUID], arguments: list[str | int]) -> None:
    keys: list[str] = []
    for tenant_id in tenant_ids:
        keys += [valkey.styles_key(tenant_id), valkey.routes_revision_key(tenant_id)]
    update = valkey.client().register_script(UPDATE_NAMES)
    update(keys=keys, args=arguments, client=pipeline)


def _newest_numbers(styles: list[Style]) -> dict[UUID, int]:
    """Return the number of each style's newest version, whatever became of it."""
    with_versions = Style.objects.filter(pk__in=[style.pk for style in styles], versions__isnull=False)
    return dict(with_versions.annotate(newest=Max("versions__number")).values_list("pk", "newest"))


def _find_name_clashes(styles: list[Style]) -> defaultdict[UUID, set[UUID]]:
    """Return style → the tenants that selected a first-party style and own one of the same short name.

    Which of the two answers depends on both, so their hashes are replaced as a whole.
    """
    selections = Selection.objects.filter(style__owner__is_first_party=True)
    # A first-party tenant's short name and full name are the same, so nothing clashes there.
    others = selections.exclude(tenant__is_first_party=True)
    clashing = others.filter(tenant__styles__slug=F("style__slug"))
    clashes = _tenants_by_style(clashing.filter(style__in=styles))
    owners = [style.owner_id for style in styles]
    clashing_slugs = set(clashing.filter(tenant__in=owners).values_list("tenant", "style__slug"))
    for style in styles:
        if (style.owner_id, style.slug) in clashing_slugs:
            clashes[style.pk].add(style.owner_id)
    return clashes


def _tenants_by_style(selections: QuerySet[Selection]) -> defaultdict[UUID, set[UUID]]:
    tenants: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for style_id, tenant_id in selections.values_list("style", "tenant"):
        tenants[style_id].add(tenant_id)
    return tenants
