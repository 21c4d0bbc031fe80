"""Who may name which style: routes in Valkey for the owner and those who selected it, and for nobody else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from adapters.catalog import selection, sharing
from adapters.errors import StyleNotFound
from adapters.models import AdapterVersion, Engine, Placement, Selection, Status, Style
from adapters.placement import reconciler, transitions
from adapters.public import model_choices
from adapters.releases import aliases
from adapters.routing import publisher
from core import valkey as keys
from tenants.access import Access
from tenants.models import Tenant
from tests.adapters.builders import (
    by,
    known,
    published_routes,
    published_share,
    published_targets,
    twin_of,
    uploaded,
)
from tests.adapters.routes import routes_of
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db(transaction=True)


def published(valkey, tenant):
    return published_targets(valkey, tenant)


def route(valkey, tenant, name):
    return published_routes(valkey, tenant)[name]


def versions_of(valkey, tenant):
    """Return typed name → version number."""
    return {name: one["version"] for name, one in published_routes(valkey, tenant).items()}


def many(tenant, engine, styles, versions=1):
    """Give a tenant many styles with several serving versions each, the newest one live."""
    style = known(tenant, "first", engine).style
    Style.objects.bulk_create(
        Style(owner=tenant, slug=f"style-{number}", name=f"Style {number}", base_model=style.base_model)
        for number in range(styles - 1)
    )
    rows = [
        AdapterVersion(style=style, number=number, sha256="a" * 64, status=Status.SERVING)
        for style in Style.objects.exclude(pk=style.pk)
        for number in range(1, versions + 1)
    ]
    AdapterVersion.objects.bulk_create(rows)
    for row in rows:
        row.style.live_version = row
    Style.objects.bulk_update((row.style for row in rows if row.number == versions), ["live_version"])
    Placement.objects.bulk_create(
        Placement(engine=engine, version=row, loaded_at=timezone.now(), loaded_as=row.engine_name)
        for row in rows
    )


def seconds(action, clock=time.process_time):
    """Return how long this process worked for an action, whatever else the machine does."""
    began = clock()
    action()
    return clock() - began


def test_a_public_style_is_routed_for_its_owner_and_for_those_who_selected_it(valkey, poetry, acme, charlies):
    selection.select_style(owner_of(acme), poetry)
    for tenant in (charlies, poetry.owner):
        publisher.publish_library(tenant.pk)
    names = {"poetry", "poetry@live", "poetry@1", "base"}
    assert set(published(valkey, poetry.owner)) == set(published(valkey, acme)) == names
    assert set(published(valkey, charlies)) == {"base"}
    found = route(valkey, acme, "poetry")
    assert found == route(valkey, acme, "poetry@1")
    assert found == {
        "style": str(poetry.pk),
        "name": "poetry",
        "version": 1,
        "version_id": str(poetry.live_version_id),
        "created": int(poetry.live_version.created_at.timestamp()),
        "about": poetry.description,
        "sha256": "a" * 64,
        "base_model": "SmolLM2-135M-Instruct",
        "max_model_len": 2048,
        "places": [
            {
                "engine": "local",
                "url": Engine.objects.get().url,
                "healthy": False,  # nobody has looked yet
                "draining": False,
                "lora": poetry.live_version.engine_name,
                "max_model_len": 2048,
                "max_num_seqs": 128,
                "max_loras": 8,
                "max_cpu_loras": 64,
                "kind": "vllm",
                "base": "SmolLM2-135M-Instruct",
                "base_model": "SmolLM2-135M-Instruct",
                "base_created": int(poetry.base_model.created_at.timestamp()),
            }
        ],
    }

    selection.unselect_style(owner_of(acme), poetry)
    assert set(published(valkey, acme)) == {"base"}


def test_every_serving_version_has_a_name_and_aliases_lead_to_theirs(valkey, acme, engine):
    _, second, third = (known(acme, "noir", engine, auto_promote=number == 1) for number in (1, 2, 3))
    known(acme, "noir", engine, status=Status.FAILED)
    publisher.publish_library(acme.pk)
    short = {"noir": 1, "noir@live": 1, "noir@1": 1, "noir@2": 2, "noir@3": 3}
    both = {**short, **{f"acme/{name}": number for name, number in short.items()}}
    assert versions_of(valkey, acme) == {**both, "base": None}

    aliases.begin_canary(by(), second, 20)
    canary = {"noir@canary": 2, "acme/noir@canary": 2}
    assert versions_of(valkey, acme) == {**both, **canary, "base": None}
    assert published_share(valkey, "acme/noir") == 20

    aliases.promote(by(), third)
    transitions.retire_version(second)
    left = {"noir": 3, "noir@live": 3, "noir@1": 1, "noir@3": 3}
    both = {**left, **{f"acme/{name}": number for name, number in left.items()}}
    assert versions_of(valkey, acme) == {**both, "base": None}
    assert published_share(valkey, "acme/noir") is None
    assert published_routes(valkey, acme) == routes_of(acme.pk)


def test_retiring_and_hiding_a_style_end_its_route_for_everybody(valkey, poetry, acme):
    selection.select_style(owner_of(acme), poetry)
    sharing.set_public(poetry, public=False)
    assert set(published(valkey, acme)) == {"base"}
    sharing.set_public(poetry)
    assert set(published(valkey, acme)) == {"poetry", "poetry@live", "poetry@1", "base"}
    transitions.retire_version(poetry.live_version)
    assert set(published(valkey, acme)) == {"base"}


def test_a_private_style_is_its_owners_alone_and_its_short_name_wins(valkey, poetry, acme, charlies, engine):
    own = known(acme, "poetry", engine).style
    selection.select_style(owner_of(acme), poetry)
    known(poetry.owner, "poetry", engine)  # version 2 of the first-party style: `poetry@2` is not Acme's
    found = published(valkey, acme)
    mine = {"poetry", "poetry@live", "poetry@1"}
    assert set(found) == {*mine, *(f"acme/{name}" for name in mine), "base"}
    assert {found[name].style for name in mine} == {str(own.pk)}
    publisher.publish_library(charlies.pk)
    assert set(published(valkey, charlies)) == {"base"}

    assert {choice.model for choice in model_choices(acme)} == {own.model_name, poetry.model_name}
    with pytest.raises(StyleNotFound):
        selection.select_style(owner_of(charlies), own)

    transitions.retire_version(AdapterVersion.objects.get(style=own))
    assert route(valkey, acme, "poetry@2")["style"] == str(poetry.pk)
    assert published_routes(valkey, acme) == routes_of(acme.pk)


@pytest.mark.usefixtures("engine")
def test_a_style_whose_files_are_all_there_is_named_before_it_is_examined(valkey, acme):
    version = uploaded(acme, "noir")
    version.refresh_from_db()
    assert version.status == Status.UPLOADED
    assert route(valkey, acme, "noir")["state"] == "loading"


def test_a_style_on_its_way_or_forgotten_by_the_engine_is_loading(valkey, acme, engine, vllm):
    version = known(acme, "noir", engine, status=Status.PUSHING)
    loading = {
        "style": str(version.style_id),
        "name": "acme/noir",
        "version": 1,
        "version_id": str(version.pk),
        "created": int(version.created_at.timestamp()),
        "about": "",
        "state": "loading",
        "sha256": "a" * 64,
        "base_model": "SmolLM2-135M-Instruct",
    }
    publisher.publish_library(acme.pk)
    assert route(valkey, acme, "noir") == loading
    assert "noir@1" not in published(valkey, acme)

    placement = Placement.objects.select_related("version__style__owner").get()
    transitions.mark_loaded(placement, version.engine_name)
    assert route(valkey, acme, "noir")["places"][0]["lora"] == version.engine_name
    transitions.mark_unloaded(placement)
    assert route(valkey, acme, "noir") == route(valkey, acme, "noir@1") == loading

    AdapterVersion.objects.update(status=Status.REJECTED)
    Style.objects.update(live_version=None)
    with transaction.atomic():
        publisher.mark_changed(version.style)
    assert set(published(valkey, acme)) == {"base"}


def test_the_base_goes_by_its_own_name(acme, engine):
    assert routes_of(acme.pk)["base"]["places"][0]["lora"] == "SmolLM2-135M-Instruct"
    Engine.objects.all().delete()
    assert routes_of(acme.pk)["base"]["state"] == "loading"


def test_healthy_engines_come_first_draining_ones_only_where_there_is_no_other(valkey, acme, engine, vllm):
    version = known(acme, "noir", engine)
    second = twin_of(engine, "second", max_model_len=1024)
    transitions.mark_loaded(Placement.objects.create(engine=second, version=version), version.engine_name)
    Engine.objects.update(is_healthy=True)
    publisher.mark_engines_changed(Engine.objects.values_list("pk", flat=True))
    publisher.publish_library(acme.pk)

    def places(name):
        return [place["engine"] for place in routes_of(acme.pk)[name]["places"]]

    assert places("noir") == places("base") == ["local", "second"]
    assert routes_of(acme.pk)["noir"]["max_model_len"] == 1024
    vllm.stop()
    reconciler.reconcile(Engine.objects.get(name="local"))
    assert not Engine.objects.stale().exists()
    listed = [(place["engine"], place["healthy"]) for place in route(valkey, acme, "noir")["places"]]
    assert listed == [("second", True), ("local", False)]
    assert places("base") == ["second", "local"]
    Engine.objects.filter(name="second").update(is_draining=True)
    assert places("noir") == places("base") == ["local"]
    Engine.objects.filter(name="local").update(is_draining=True)
    assert places("noir") == places("base") == ["second", "local"]
    Engine.objects.filter(name="second").update(is_draining=False)
    transitions.mark_unloaded(Placement.objects.get(engine__name="second"))
    assert (places("noir"), places("base")) == (["local"], ["second"])  # it serves until another one does
    Engine.objects.filter(name="local").update(is_gone=True)
    assert routes_of(acme.pk)["noir"]["state"] == "loading"


def test_routes_that_valkey_missed_are_published_when_it_is_back(valkey, acme, poetry, monkeypatch):
    publisher.republish_stale()

    def down():
        raise RedisError("down")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "client", down)
        selection.select_style(owner_of(acme), poetry)  # committed all the same
        transitions.retire_version(poetry.live_version)
        with pytest.raises(RedisError):
            publisher.republish_stale()
    assert set(published(valkey, acme)) == {"base"}
    assert "poetry" in published(valkey, poetry.owner)
    assert acme in Tenant.objects.stale()
    assert poetry in Style.objects.stale()
    publisher.republish_stale()
    assert "poetry" not in published(valkey, acme).keys() | published(valkey, poetry.owner).keys()
    assert valkey.hget(keys.limits_key(acme.pk), "state") == "live"
    assert not Tenant.objects.stale().exists()
    assert not Style.objects.stale().exists()


def test_routes_that_valkey_lost_are_not_written_in_parts(valkey, acme, engine):
    version = known(acme, "noir", engine)
    valkey.flushdb()
    aliases.promote(by(), version)
    assert published(valkey, acme) == {}  # a cache miss: admission has it written whole


def test_two_thousand_styles_are_published_in_a_few_queries_and_a_second_of_work(
    valkey, acme, engine, django_assert_max_num_queries
):
    many(acme, engine, 2000, versions=3)
    with django_assert_max_num_queries(4):
        publisher.publish_library(acme.pk)
    worked = [seconds(lambda: publisher.publish_library(acme.pk)) for _ in range(3)]
    assert min(worked) < 1
    Style.objects.update(generation=1)
    publisher.republish_stale()
    assert len(published(valkey, acme)) == 1999 * 2 * 5 + 2 * 3 + 1
    style = Style.objects.get(slug="style-7")
    promotions = [partial(aliases.promote, by(), version) for version in style.versions.order_by("number")]
    assert min(map(seconds, promotions)) < 0.1
    assert route(valkey, acme, "style-7")["version"] == 3


def test_a_promotion_writes_one_row_whoever_selected_the_style(valkey, poetry, engine):
    second = known(poetry.owner, "poetry", engine, auto_promote=False)
    new = (Tenant(slug=f"t-{number}", name=f"T {number}") for number in range(500))
    tenants = Tenant.objects.bulk_create(new)
    Selection.objects.bulk_create(Selection(style=poetry, tenant=tenant) for tenant in tenants)
    publisher.mark_libraries_changed([tenant.pk for tenant in tenants])
    before = valkey.info("commandstats")["cmdstat_hset"]["calls"]
    changes = valkey.get(keys.route_generation_key())
    with changed_keys(valkey) as changed:
        aliases.promote(Access(poetry.owner, None), second)
    assert changed == {keys.route_styles_key(), keys.route_sources_key()}
    assert valkey.get(keys.route_generation_key()) == changes  # no gateway has anything to read
    # The style's row, and its generation.
    assert valkey.info("commandstats")["cmdstat_hset"]["calls"] - before == 2
    assert published(valkey, tenants[-1])["poetry"].version_id == str(second.pk)
    assert not Style.objects.stale().exists()


@contextmanager
def changed_keys(valkey) -> Iterator[set[str]]:
    """Yield the names of the keys whose content is another one afterwards."""
    before = {key: valkey.dump(key) for key in valkey.scan_iter()}
    changed: set[str] = set()
    yield changed
    after = {key: valkey.dump(key) for key in valkey.scan_iter()}
    changed |= {key for key in before | after if before.get(key) != after.get(key)}
