"""A workspace has its responses stored, on the page or by the API, where the operator allows it."""

import pytest
from django.urls import reverse

from core import valkey as names
from tenants.models import AuditEntry
from tests.tenants.builders import issue_key

EDIT = reverse("website:edit_workspace")
FORM = {"name": "Acme", "default_style": ""}


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.RESPONSES_STORE = True


def published(tenant, valkey) -> str:
    return valkey.hget(names.limits_key(tenant.pk), "responses_kept_days")


def test_the_page_sets_and_ends_it(alice_client, acme, valkey, settings, django_capture_on_commit_callbacks):
    def saved(**sent):
        with django_capture_on_commit_callbacks(execute=True):
            assert alice_client.post(EDIT, FORM | sent).status_code == 302
        acme.refresh_from_db()
        return acme.responses_kept_days

    assert saved() is None
    assert saved(responses_kept_days="7") == 7
    assert published(acme, valkey) == "7"
    assert AuditEntry.objects.get(action="workspace.edited").after == {"responses_kept_days": 7}
    assert saved() == 7  # a page without the field
    assert saved(responses_kept_days="") is None
    assert published(acme, valkey) == ""
    assert alice_client.post(EDIT, FORM | {"responses_kept_days": "8"}).status_code == 400
    settings.RESPONSES_STORE = False
    assert "responses_kept_days" not in alice_client.get(reverse("website:settings")).text
    assert saved(responses_kept_days="7") is None


def test_the_api_sets_it(client, acme, valkey, settings):
    _, secret = issue_key(acme, name="admin", by=None, scopes=["admin"])

    def patch(days):
        body = {"responses_kept_days": days}
        headers = {"Authorization": f"Bearer {secret}"}
        return client.patch("/api/v1/workspace", body, "application/json", headers=headers)

    assert patch(30).json()["responses_kept_days"] == 30
    assert patch(2).status_code == 400
    settings.RESPONSES_STORE = False
    assert patch(7).status_code == 400
    assert patch(None).json()["responses_kept_days"] is None
