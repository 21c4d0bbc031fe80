"""A workspace's data as operators hand it out, and its erasure by operators."""

import csv
import io
import json
import zipfile

import pytest
from django.test import Client
from django.urls import reverse

from adapters.models import BaseModel, Style
from events.models import WebhookEndpoint
from metering.ledger import record_events
from operations import tasks
from tenants.models import ApiKey, AuditEntry, Tenant
from tests.operations.builders import clerk
from tests.tenants.builders import issue_key, make_event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SURE = {"confirmed": "1", "why": "Their request of today"}
WORKSPACES = reverse("admin:tenants_tenant_changelist")


def export_page(tenant: Tenant) -> str:
    return reverse("admin:workspace_export", args=[tenant.pk])


def download(client: Client, tenant: Tenant) -> tuple[dict[str, list[dict[str, str]]], bytes]:
    """Return the tables of an export, and all its files as one."""
    answer = client.post(export_page(tenant), SURE)
    assert answer["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.getvalue()))
    tables = {}
    for name in archive.namelist():
        if name.endswith(".csv"):
            tables[name] = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    return tables, b"".join(archive.read(name) for name in archive.namelist())


def test_an_export_has_all_of_a_workspace_and_no_secret(operator_client, operator, acme, charlies, bob):
    key, secret = issue_key(acme, name="=HYPERLINK(1)", by=None)
    issue_key(charlies, name="of another", by=None)
    WebhookEndpoint.objects.create(tenant=acme, url="https://example.com/hook", sealed_secret="sealed-away")
    base_model = BaseModel.objects.create(name="base", config={}, modules={})
    style = Style.objects.create(owner=acme, slug="noir", name="Noir", base_model=base_model)
    style.versions.create(number=1)
    record_events([make_event(acme, key=key)])

    tables, everything = download(operator_client, acme)
    assert [row["user_email"] for row in tables["members.csv"]] == ["alice@example.org", "bob@example.org"]
    assert [row["name"] for row in tables["api_keys.csv"]] == ["'=HYPERLINK(1)"]
    assert [(row["style_slug"], row["number"]) for row in tables["styles.csv"]] == [("noir", "1")]
    assert len(tables["usage_by_day.csv"]) == 1
    for hidden in (secret, key.digest, "sealed-away", "of another", "charlie"):
        assert hidden.encode() not in everything
    entry = AuditEntry.objects.get(action="workspace.exported")
    assert (entry.actor, entry.object_id, entry.reason) == (operator, str(acme.pk), SURE["why"])


def test_an_export_names_trainings_and_documents_and_has_no_text(operator_client, draft):
    text = draft.documents.first().first_words
    assert text
    tables, everything = download(operator_client, draft.tenant)
    assert [row["slug"] for row in tables["trainings.csv"]] == ["my-voice"]
    names = [row["name"] for row in tables["documents.csv"]]
    assert names == ["chapter-1.txt", "chapter-2.txt"]
    assert text[:40].encode() not in everything


def test_an_export_asks_why_and_who_may_not_gets_none(operator_client, alice_client, acme):
    assert operator_client.post(export_page(acme), {"confirmed": "1", "why": ""}).status_code == 200
    assert not AuditEntry.objects.exists()
    assert alice_client.post(export_page(acme), SURE).status_code == 302
    assert clerk("Engineer").post(export_page(acme), SURE).status_code == 403


def test_an_operator_erases_a_workspace_with_the_owners_own_report(
    operator_client, alice_client, acme, alice
):
    issue_key(acme, name="laptop", by=alice)
    erase = {"action": "erase", "_selected_action": [acme.pk], **SURE}
    operator_client.post(WORKSPACES, {**erase, "confirm": "Acne"})
    assert Tenant.objects.get(pk=acme.pk).deleted_at is None
    operator_client.post(WORKSPACES, {**erase, "confirm": "Acme"})
    acme.refresh_from_db()
    assert acme.deleted_at
    assert not ApiKey.objects.filter(tenant=acme, revoked_at=None).exists()
    again = operator_client.post(WORKSPACES, {**erase, "confirm": "Acme"}, follow=True)
    assert "is already deleted" in again.text
    assert AuditEntry.objects.filter(action="erase", object_id=str(acme.pk)).count() == 1

    tasks.erase_workspaces()
    page = operator_client.get(reverse("admin:tenants_tenant_change", args=[acme.pk]))
    assert page.context["workspace"]["state"].name == "Deleted"
    assert page.context["workspace"]["state"].note.startswith("Erased ")
    assert page.context["workspace"]["suspension"] is None
    links = dict(page.context["workspace"]["actions"])
    assert "View as owner" not in links
    seen = json.loads(operator_client.get(links["Erasure report"]).text)
    own = json.loads(
        alice_client.get(reverse("website:workspace_erasure", args=[acme.pk]) + "?form=json").text
    )
    assert seen == own
    assert operator_client.get(reverse("admin:tenants_tenant_impersonate", args=[acme.pk])).status_code == 404


def test_only_admins_erase(acme):
    erase = {"action": "erase", "_selected_action": [acme.pk], **SURE, "confirm": "Acme"}
    for role in ("Support", "Finance"):
        clerk(role).post(WORKSPACES, erase)
        assert Tenant.objects.get(pk=acme.pk).deleted_at is None
    clerk("Admin").post(WORKSPACES, erase)
    assert Tenant.objects.get(pk=acme.pk).deleted_at
