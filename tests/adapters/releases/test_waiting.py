"""A version that waits for its owner answers to its own name and to no other."""

import pytest

from adapters.models import Status, Style
from adapters.placement import transitions
from adapters.releases import aliases
from adapters.routing import publisher
from tests.adapters.builders import by, known, published_targets

pytestmark = pytest.mark.django_db(transaction=True)


def names(valkey, tenant) -> set[str]:
    publisher.publish_library(tenant.pk)
    return {name for name in published_targets(valkey, tenant) if name.startswith("noir")}


def test_a_version_that_waits_for_its_owner_answers_only_to_its_own_name(valkey, acme, alice, engine):
    loading = known(acme, "noir", engine, status=Status.PUSHING, auto_promote=False)
    assert not names(valkey, acme), "no request waits for a name that nobody has made live"
    transitions.mark_loaded(loading.placements.get(), loading.engine_name)
    assert names(valkey, acme) == {"noir@1"}
    assert Style.objects.get().live_version is None
    loading.refresh_from_db()
    assert aliases.promote(by(alice), loading)
    assert names(valkey, acme) == {"noir", "noir@1", "noir@live"}


def test_a_version_that_waits_for_its_owner_does_not_replace_a_live_one_that_ends(acme, engine):
    live = known(acme, "noir", engine, auto_promote=True)
    known(acme, "noir", engine, auto_promote=False)
    transitions.retire_version(live)
    assert Style.objects.get().live_version is None
