"""Whatever happens to styles and selections: a name leads admission to what the database says."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accounts.workspaces import playground_key
from adapters.catalog import selection, sharing
from adapters.models import AdapterVersion, Selection, Share, Status, Style
from adapters.placement import transitions
from adapters.releases import aliases
from adapters.routing import publisher
from core import months
from core import valkey as names
from core.errors import DomainError
from inference.errors import UnknownModel
from inference.quota.admission import AdapterNotLoaded, Caller, canary_bucket
from metering.quota_sync.snapshot import publish_snapshot
from tenants.models import Tenant
from tests.adapters.builders import known, published_targets
from tests.inference.quota.builders import PLENTY, DataPlane
from tests.profiles import examples
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db(transaction=True)

SLUGS = ("noir", "poetry")
FORMS = (("", "ada"), ("", "bob"), ("@live", ""), ("@canary", ""), ("@1", ""), ("@2", ""), ("@live@1", ""))
ACTIONS = (
    "serve", "serve", "push", "promote", "roll back", "begin canary", "end canary", "retire", "show", "hide",
    "approve", "select", "select", "unselect", "share", "end share", "suspend", "lift", "take from all",
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), *[st.integers(0, 2)] * 3, st.sampled_from(SLUGS)),
    min_size=8,
    max_size=30,
)


@dataclass
class World:
    """Three workspaces, the first party among them, that own styles of the same short names."""

    valkey: object
    engine: object
    tenants: list[Tenant]
    data_plane: DataPlane

    def act(self, action: str, owner: int, other: int, number: int, slug: str) -> None:
        """Do something to a style of the owner's, which may not exist, and may not allow it."""
        tenant = self.tenants[owner]
        if action in ("serve", "push"):
            status = Status.SERVING if action == "serve" else Status.PUSHING
            known(tenant, slug, self.engine, status=status, auto_promote=number > 0)
            return
        style = Style.objects.select_related("owner").filter(owner=tenant, slug=slug).first()
        if style:
            with suppress(DomainError):
                self._change(action, style, self.tenants[other], number + 1)

    def _change(self, action: str, style: Style, other: Tenant, number: int) -> None:
        version = style.versions.filter(number=number).select_related("style__owner").first()
        changes = {
            "roll back": lambda: aliases.roll_back(owner_of(style.owner), style),
            "end canary": lambda: aliases.end_canary(owner_of(style.owner), style),
            "show": lambda: sharing.set_public(style),
            "hide": lambda: sharing.set_public(style, public=False),
            "approve": lambda: sharing.approve_style(style),
            "unselect": lambda: selection.unselect_style(owner_of(other), style),
            "share": lambda: sharing.share_style(owner_of(style.owner), style, other.slug),
            "end share": lambda: sharing.leave_share(owner_of(other), style),
            "suspend": lambda: sharing.suspend_style(style, reason=""),
            "lift": lambda: sharing.lift_suspension(style),
            "take from all": lambda: sharing.end_all_shares(style),
        }
        if other != style.owner:
            changes["select"] = lambda: selection.select_style(owner_of(other), style)
        if version:
            changes |= {
                "promote": lambda: aliases.promote(owner_of(style.owner), version),
                "begin canary": lambda: aliases.begin_canary(owner_of(style.owner), version, 30 * number),
                "retire": lambda: transitions.retire_version(version),
            }
        changes.get(action, lambda: None)()

    def found(self, tenant: Tenant, asked: list[tuple[str, str]]) -> list[str | None]:
        """Return the version that admission leads to, of each model and user."""
        caller = Caller(tenant.pk, playground_key(tenant).pk)

        async def admit_all() -> list[str | None]:
            return await asyncio.gather(*(self._admit(caller, model, user) for model, user in asked))

        return self.data_plane.run(admit_all())

    async def _admit(self, caller: Caller, model: str, user: str) -> str | None:
        try:
            grant = await self.data_plane.ask(caller, model=model, user=user or "x", prompt=1, output=1)
        except UnknownModel:
            return None
        except AdapterNotLoaded as missing:
            return missing.version_id
        return grant.route.version_id


def expected(tenant: Tenant, name: str) -> list[str | None]:
    """The versions that the forms of a name lead to, by the rows in PostgreSQL alone."""
    style = find_style(tenant, name)
    if style is None:
        return [None] * len(FORMS)
    versions = shown_versions(style)
    live_id = style.live_version_id
    if style.is_public and not style.owner.is_first_party and style.owner != tenant:
        versions = [version for version in versions if version.approved_at]
        live_id = style.approved_version_id
    ids = {version.pk: str(version.pk) for version in versions}
    canary = ids.get(style.canary_version_id)
    live = ids.get(live_id)
    if live_id is None:
        in_work = [one for one in versions if one.status != Status.SERVING and one.auto_promote]
        live = ids[in_work[-1].pk] if in_work else None
    by_suffix = {"": live, "@live": live, "@canary": canary}
    for version in versions:
        if version.status == Status.SERVING:
            by_suffix[f"@{version.number}"] = ids[version.pk]
    found = []
    for suffix, user in FORMS:
        is_canarys = canary and not suffix and canary_bucket(name, user) < style.canary_percent
        found.append(canary if is_canarys else by_suffix.get(suffix))
    return found


def find_style(tenant: Tenant, name: str) -> Style | None:
    """The style that a tenant means: its own one, else one that it selected and may use."""
    owner, _, slug = name.rpartition("/")
    styles = Style.objects.select_related("owner").filter(slug=slug)
    own = styles.filter(owner=tenant).first()
    if own and owner in ("", tenant.slug) and shown_versions(own) and not (owner and tenant.is_first_party):
        return own
    others = styles.filter(owner__slug=owner, owner__is_first_party=False)
    style = (others if owner else styles.filter(owner__is_first_party=True)).first()
    if style is None or not Selection.objects.filter(tenant=tenant, style=style).exists():
        return None
    is_shared = Share.objects.in_force().filter(tenant=tenant, style=style).exists()
    return style if style.is_public or is_shared else None


def shown_versions(style: Style) -> list[AdapterVersion]:
    if style.suspended_at or style.retired_at:
        return []
    shown = AdapterVersion.objects.filter(status=Status.SERVING) | AdapterVersion.objects.in_work()
    return list(shown.filter(style=style).order_by("number"))


@pytest.fixture
def world(*, valkey, acme, charlies, polyscribe, registered_engine, data_plane) -> World:
    return World(valkey, registered_engine, [acme, charlies, polyscribe], data_plane)


def open_valkey(world: World) -> None:
    """Publish everything to an empty Valkey, with more than enough of every limit."""
    world.valkey.flushdb()
    publisher.publish_missing_tables()
    for tenant in world.tenants:
        publish_snapshot(tenant.pk)
        publisher.publish_library(tenant.pk)
        world.valkey.hset(names.limits_key(tenant.pk), mapping=PLENTY)
        world.valkey.hset(names.account_key(tenant.pk, months.current()), "used", 0)


# An example takes a second, so failing ones are shown as they are found.
@given(steps=steps, is_flushed=st.booleans())
@settings(max_examples=examples(10), phases=[Phase.generate])
def test_every_name_leads_every_workspace_to_what_the_database_says(world, steps, is_flushed):
    """Random lives of styles; every form of every name, for everybody, with and without a flush before."""
    Style.objects.all().delete()
    open_valkey(world)
    for step in steps:
        world.act(*step)
    if is_flushed:
        open_valkey(world)
    for tenant in world.tenants:
        compare(world, tenant)


def compare(world: World, tenant: Tenant) -> None:
    owners = ("", *(f"{owner.slug}/" for owner in world.tenants))
    names_typed = [owner + slug for owner in owners for slug in SLUGS]
    asked = [(name + suffix, user) for name in names_typed for suffix, user in FORMS]
    wanted = [version_id for name in names_typed for version_id in expected(tenant, name)]
    found = world.found(tenant, asked)
    assert dict(zip(asked, found, strict=True)) == dict(zip(asked, wanted, strict=True)), tenant.slug
    # What reads the tables in Python knows no canary's share: who has none of it gets the live version.
    targets = published_targets(world.valkey, tenant)
    for (model, user), version_id in zip(asked, wanted, strict=True):
        if not user:
            target = targets.get(model)
            assert (target and target.version_id) == version_id, (tenant.slug, model)
