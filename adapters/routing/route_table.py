"""The route table: which version each name leads to, in a hash of each tenant. Admission reads it.

A style is typed as `brand-voice@3` (any version that serves), `…@canary`, `…@live` or plainly (the live one).
A name leads to `<style id> <version id> <about>`; that of the base model to `- base <about>`. `about` is what
the list of models says. A name that leads nowhere is unknown.
Where a canary runs, `canary:<name>` holds its share and its name: `10 brand-voice@canary`.

The table says nothing of engines: see version_table.py and engine_table.py.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

from adapters.models import AdapterVersion, Status, Style

BASE = "base"
BASE_TARGET = f"- {BASE}"

type Fields = dict[str, str]  # a name as clients type it → where it leads


class Version(NamedTuple):
    """What the tables of routes say of a version."""

    pk: UUID
    number: int
    status: str
    sha256: str
    created_at: datetime
    approved_at: datetime | None


@dataclass(frozen=True)
class StyleRoutes:
    """Where the names of one style lead, by what follows the name: "", "@live", "@canary", "@3".

    Workspaces other than its owner get only the approved versions of a public style: see releases/review.py.
    """

    style: Style
    for_owner: Fields
    for_others: Fields

    def fields(self, name: str, *, is_own: bool) -> Fields:
        """Return typed name → where it leads, for one of the names that the style has."""
        routes = self.for_owner if is_own else self.for_others
        fields = {}
        for suffix, target in routes.items():
            fields[f"{name}{suffix}"] = target
        if "@canary" in routes:
            fields[f"canary:{name}"] = f"{self.style.canary_percent} {name}@canary"
        return fields


def build_fields(tenant_id: UUID) -> Fields:
    """Return typed name → where it leads of all that a tenant may use; its own short names win."""
    found = routes_of_styles(list(Style.objects.usable_by(tenant_id)))
    own_slugs = set()
    for routes in found:
        if routes.style.owner_id == tenant_id and routes.for_owner:
            own_slugs.add(routes.style.slug)

    fields = {BASE: f"{BASE_TARGET} The base model, {settings.BASE_MODEL}, without a style."}
    for routes in found:
        style = routes.style
        if style.owner_id == tenant_id:
            fields |= routes.fields(style.model_name, is_own=True)
            fields |= routes.fields(style.slug, is_own=True)
        # Another's style is hidden with all its aliases: `poetry@2` must not lead to it if `poetry` does not.
        elif style.model_name not in own_slugs:
            fields |= routes.fields(style.model_name, is_own=False)
    return fields


def routes_of_styles(styles: list[Style]) -> list[StyleRoutes]:
    """Return where the names of some styles lead, read with their owners; one query for all."""
    versions = read_versions(styles)
    return [_routes_of_style(style, versions[style.pk]) for style in styles]


def read_versions(styles: list[Style]) -> dict[UUID, list[Version]]:
    """Return what serves or is on its way, of each style, oldest first.

    Nothing of a retired or suspended one.
    """
    ids = [style.pk for style in styles if style.retired_at is None and style.suspended_at is None]
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    rows = shown.filter(style__in=ids).order_by("number")
    versions = defaultdict(list)
    for style_id, *facts in rows.values_list("style", *Version._fields):
        versions[style_id].append(Version(*facts))
    return versions


def every_field(name: str, newest: int) -> set[str]:
    """Return all fields that a name can ever have had, by the number of its style's newest version."""
    # Computed, not remembered: whatever a workspace had under the name is taken away.
    fields = {name, f"{name}@live", f"{name}@canary", f"canary:{name}"}
    for number in range(1, newest + 1):
        fields.add(f"{name}@{number}")
    return fields


def _routes_of_style(style: Style, versions: list[Version]) -> StyleRoutes:
    for_owner = _routes(style, versions, live_id=style.live_version_id, about=style.description)
    if not style.is_reviewed:
        return StyleRoutes(style, for_owner, for_owner)
    approved = [version for version in versions if version.approved_at]
    live_id = style.approved_version_id
    for_others = _routes(style, approved, live_id=live_id, about=style.approved_description)
    return StyleRoutes(style, for_owner, for_others)


def _routes(style: Style, versions: list[Version], *, live_id: UUID | None, about: str) -> Fields:
    """Return what follows a style's name → where that leads.

    Where no version is live, the plain name leads to the newest one that is on its way.
    """
    routes: Fields = {}
    targets: dict[UUID, str] = {}
    on_its_way = None
    for version in versions:
        targets[version.pk] = f"{style.pk} {version.pk} {about}"
        if version.status == Status.SERVING:
            routes[f"@{version.number}"] = targets[version.pk]
        else:
            on_its_way = version.pk
    # So that a request for a new style waits for it instead of getting 404.
    live_id = live_id or on_its_way
    if live_id in targets:
        routes[""] = targets[live_id]
        routes["@live"] = targets[live_id]
    if style.canary_version_id in targets:
        routes["@canary"] = targets[style.canary_version_id]
    return routes
