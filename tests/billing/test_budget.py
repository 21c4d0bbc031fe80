"""The form of a workspace's budget on the page "Usage"."""

import pytest
from django.urls import reverse

from tenants.models import AuditEntry

pytestmark = pytest.mark.django_db
SET_BUDGET = reverse("billing:set_budget")


def test_an_owner_sets_the_budget_and_a_member_sees_it(alice_client, bob_client, acme):
    assert alice_client.post(SET_BUDGET, {"budget": "7.25"}).status_code == 302
    acme.refresh_from_db()
    assert acme.monthly_nanousd == 7_250_000_000
    assert "$7.25 budget spent" in bob_client.get(reverse("billing:usage")).text
    alice_client.post(SET_BUDGET, {"budget": ""})
    acme.refresh_from_db()
    assert acme.monthly_nanousd is None
    entry = AuditEntry.objects.filter(tenant=acme).latest("pk")
    details = alice_client.get(reverse("tenants:audit_entry", args=[entry.pk]))
    assert details.context["row"]["changes"] == [("monthly_usd", "$7.25", None)]


def test_what_is_no_amount_stays_in_the_form_and_changes_nothing(alice_client, acme):
    wrong = alice_client.post(SET_BUDGET, {"budget": "a lot"})
    assert wrong.status_code == 400
    assert 'value="a lot"' in wrong.text
    acme.refresh_from_db()
    assert acme.monthly_nanousd is None
