"""Deleted workspaces: their styles are erased, some at a time, and the owners read how far it is."""

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.erasure import workflow
from adapters.models import AdapterVersion, BaseModel, Erasure, Selection, Share, Status, Style
from operations import tasks
from tenants.models import Membership, Tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def styles(acme, charlies) -> list[Style]:
    """Three styles of Acme's, one shared with Charlie; Charlie shares one with Acme."""
    base_model = BaseModel.objects.create(name="base", config={}, modules={})
    own = []
    for number in range(3):
        style = Style.objects.create(owner=acme, slug=f"s{number}", name=f"S{number}", base_model=base_model)
        AdapterVersion.objects.create(style=style, number=1, status=Status.REJECTED)
        own.append(style)
    Share.objects.create(style=own[0], tenant=charlies)
    theirs = Style.objects.create(owner=charlies, slug="tide", name="Tide", base_model=base_model)
    Share.objects.create(style=theirs, tenant=acme)
    Selection.objects.create(style=theirs, tenant=acme)
    return own


@pytest.fixture
def deleted(acme) -> Tenant:
    Tenant.objects.filter(pk=acme.pk).update(deleted_at=timezone.now())
    acme.refresh_from_db()
    return acme


def finish_erasures() -> None:
    Erasure.objects.update(finished_at=timezone.now())


def test_styles_are_erased_in_batches_and_the_end_is_noted(styles, deleted, charlies, monkeypatch):
    monkeypatch.setattr(workflow, "BATCH_SIZE", 2)
    tasks.erase_workspaces()
    assert Erasure.objects.count() == 2
    finish_erasures()
    tasks.erase_workspaces()
    deleted.refresh_from_db()
    assert deleted.erased_at is None
    finish_erasures()
    tasks.erase_workspaces()
    deleted.refresh_from_db()
    assert deleted.erased_at
    assert Erasure.objects.count() == 3
    assert not Share.objects.exists()
    assert not Selection.objects.exists()
    assert Style.objects.get(owner=charlies).retired_at is None


def test_a_workspace_that_is_not_deleted_keeps_its_styles(styles, acme):
    tasks.erase_workspaces()
    assert not Erasure.objects.exists()


def test_owners_read_the_report_and_nobody_else(styles, deleted, alice_client, bob_client, charlie_client):
    address = reverse("website:workspace_erasure", args=[deleted.pk])
    assert "3 styles left" in alice_client.get(address).text
    tasks.erase_workspaces()
    part = alice_client.get(address, headers={"HX-Request": "true"})
    assert "0 of 3 versions erased" in part.text
    assert "<html" not in part.text
    report = alice_client.get(address, {"form": "json"}).json()
    assert sorted(one["style"] for one in report["versions"]) == ["acme/s0", "acme/s1", "acme/s2"]
    finish_erasures()
    tasks.erase_workspaces()
    assert "All files of Acme are erased" in alice_client.get(address).text
    for client in (bob_client, charlie_client):
        assert client.get(address).status_code == 404


def test_the_report_of_a_workspace_that_lives_is_not_found(acme, alice_client):
    assert Membership.objects.get().role == "owner"
    assert alice_client.get(reverse("website:workspace_erasure", args=[acme.pk])).status_code == 404
