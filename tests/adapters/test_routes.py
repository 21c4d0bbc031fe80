"""Who may name which style: routes in Valkey for the owner and those who selected it, and for nobody else."""

import json

import pytest
from redis.exceptions import RedisError

from adapters import catalogue, reconciling, routes, serving
from adapters.errors import StyleNotFound
from adapters.models import AdapterVersion, Engine, Placement, Status
from adapters.public import find_style, playground_styles
from foundation import valkey as keys
from tenants.public import Tenant
from tests.adapters.conftest import known

pytestmark = pytest.mark.django_db(transaction=True)


def published(valkey, tenant):
    return {name: json.loads(route) for name, route in valkey.hgetall(keys.styles_key(tenant.pk)).items()}


def test_a_public_style_is_routed_for_its_owner_and_for_those_who_selected_it(valkey, poetry, acme, charlies):
    catalogue.select(acme, poetry)
    routes.publish(charlies.pk)
    assert set(published(valkey, poetry.owner)) == {"poetry", "base"}
    assert set(published(valkey, acme)) == {"poetry", "base"}
    assert set(published(valkey, charlies)) == {"base"}
    assert published(valkey, acme)["poetry"] == {
        "style": str(poetry.pk),
        "name": "poetry",
        "version": 1,
        "sha256": "a" * 64,
        "base_model": "SmolLM2-135M-Instruct",
        "engine": "local",
        "url": Engine.objects.get().url,
        "lora": poetry.live_version.engine_name,
        "max_model_len": 2048,
        "max_num_seqs": 128,
    }

    catalogue.unselect(acme, poetry)
    assert set(published(valkey, acme)) == {"base"}


def test_retiring_and_hiding_end_the_route_of_everybody(valkey, poetry, acme):
    catalogue.select(acme, poetry)
    catalogue.set_public(poetry, public=False)
    assert set(published(valkey, acme)) == {"base"}
    catalogue.set_public(poetry)
    assert set(published(valkey, acme)) == {"poetry", "base"}
    serving.retire(poetry.live_version)
    assert set(published(valkey, acme)) == {"base"}


def test_a_private_style_is_nobody_elses_and_its_short_name_wins(valkey, poetry, acme, charlies, engine):
    catalogue.select(acme, poetry)
    own = known(acme, "poetry", engine).style
    found = published(valkey, acme)
    assert set(found) == {"poetry", "acme/poetry", "base"}
    assert found["poetry"]["style"] == found["acme/poetry"]["style"] == str(own.pk)
    routes.publish(charlies.pk)
    assert set(published(valkey, charlies)) == {"base"}

    assert find_style(acme, "poetry") == find_style(acme, "acme/poetry") == own
    assert playground_styles(acme) == sorted([own, poetry], key=lambda style: style.pk)
    for name in ("acme/poetry", "poetry", "nothing", "a/b/c"):
        with pytest.raises(StyleNotFound):
            find_style(charlies, name)
    with pytest.raises(StyleNotFound):
        catalogue.select(charlies, own)


def test_a_style_on_its_way_or_forgotten_by_the_engine_is_loading(valkey, acme, engine, vllm):
    version = known(acme, "noir", engine, status=Status.PUSHING)
    loading = {"style": str(version.style_id), "name": "acme/noir", "state": "loading"}
    routes.publish(acme.pk)
    assert published(valkey, acme)["noir"] == loading

    placement = Placement.objects.select_related("version__style__owner").get()
    serving.found(placement, version.engine_name)
    assert published(valkey, acme)["noir"]["lora"] == version.engine_name
    serving.lost(placement)
    assert published(valkey, acme)["noir"] == loading

    AdapterVersion.objects.update(status=Status.REJECTED)
    version.style.live_version = None
    version.style.save()
    routes.publish(acme.pk)
    assert "noir" not in published(valkey, acme)


def test_the_base_goes_through_the_identity_on_cpu_only(valkey, acme, engine):
    assert routes.routes_of(acme.pk)["base"]["lora"] == "identity"
    Engine.objects.update(device="cuda")
    assert routes.routes_of(acme.pk)["base"]["lora"] == "SmolLM2-135M-Instruct"
    Engine.objects.all().delete()
    assert routes.routes_of(acme.pk)["base"] == {"style": None, "name": "base", "state": "loading"}


def test_a_healthy_engine_is_preferred_and_a_lost_one_is_left(valkey, acme, engine, vllm):
    version = known(acme, "noir", engine)
    second = Engine.objects.get()
    second.pk = "second"
    second.save(force_insert=True)
    serving.found(Placement.objects.create(engine=second, version=version), version.engine_name)
    Engine.objects.update(is_healthy=True)
    assert routes.routes_of(acme.pk)["noir"]["engine"] == "local"
    vllm.stop()
    reconciling.reconcile(Engine.objects.get(pk="local"))
    assert acme in Tenant.objects.stale()
    routes.republish_stale()
    assert published(valkey, acme)["noir"]["engine"] == published(valkey, acme)["base"]["engine"] == "second"


def test_what_valkey_missed_is_published_when_it_is_back(valkey, acme, poetry, monkeypatch):
    def down():
        raise RedisError("down")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "client", down)
        catalogue.select(acme, poetry)  # committed all the same
        with pytest.raises(RedisError):
            routes.republish_stale()
    assert published(valkey, acme) == {}
    assert acme in Tenant.objects.stale()
    routes.republish_stale()
    assert "poetry" in published(valkey, acme)
    assert valkey.hget(keys.limits_key(acme.pk), "state") == "live"
    assert not Tenant.objects.stale().exists()


def test_publishing_asks_the_same_few_questions_for_many_styles(
    valkey, acme, engine, django_assert_max_num_queries
):
    for number in range(12):
        known(acme, f"style-{number}", engine)
    with django_assert_max_num_queries(7):
        routes.publish(acme.pk)
    assert len(published(valkey, acme)) == 25
