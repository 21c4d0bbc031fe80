import pytest
from django.contrib.admin import site
from django.urls import reverse
from django.utils import timezone

from foundation.valkey import limits_key
from tenants import gate, keys, plans
from tenants.models import ApiKey, LedgerEntry, Tenant, User
from tenants.usage import record

MODELS = [model._meta.model_name for model in site._registry if model._meta.app_label == "tenants"]


def page(model: str, name: str = "changelist", *args: object) -> str:
    return reverse(f"admin:tenants_{model}_{name}", args=args)


@pytest.mark.parametrize("model", MODELS)
def test_operators_see_every_list_and_tenants_none(operator_client, alice_client, acme, event, model):
    record([event(acme)])
    assert operator_client.get(page(model)).status_code == 200
    assert alice_client.get(page(model)).status_code == 302


def test_what_is_booked_can_be_read_and_not_changed(operator_client, acme, event):
    record([event(acme)])
    entry = LedgerEntry.objects.get()
    address = page("ledgerentry", "change", entry.pk)
    assert operator_client.get(address).status_code == 200
    assert operator_client.post(address, {"amount_nanousd": 0}).status_code == 403
    assert operator_client.post(page("ledgerentry", "delete", entry.pk)).status_code == 403
    assert operator_client.get(page("ledgerentry", "add")).status_code == 403


def test_an_operator_revokes_a_key_and_never_sees_its_digest(operator_client, acme):
    key, _ = keys.issue(acme, name="laptop", by=None)
    shown = operator_client.get(page("apikey", "change", key.pk))
    assert shown.status_code == 200
    assert key.digest not in shown.text
    chosen = [key.pk, keys.studio_key(acme).pk]
    operator_client.post(page("apikey"), {"action": "revoke", "_selected_action": chosen})
    assert ApiKey.objects.get(pk=key.pk).revoked_at
    assert not keys.studio_key(acme).revoked_at


def test_an_operator_suspends_resumes_and_changes_plans(operator_client, acme):
    operator_client.post(page("tenant"), {"action": "suspend", "_selected_action": [acme.pk]})
    assert Tenant.objects.get(pk=acme.pk).suspended_at
    operator_client.post(page("tenant"), {"action": "resume", "_selected_action": [acme.pk]})
    assert Tenant.objects.get(pk=acme.pk).suspended_at is None
    chosen = {"tenant": acme.pk, "plan_version": plans.newest("writer").pk}
    assert operator_client.post(page("subscription", "add"), chosen).status_code == 302
    assert plans.limits_of(acme, timezone.now()).plan == "writer"


@pytest.mark.django_db(transaction=True)
def test_an_operator_sets_a_tenants_budget_in_dollars_and_the_gate_knows(operator_client, acme, valkey):
    address = page("tenant", "change", acme.pk)
    inline = {f"memberships-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    for written, nanousd in [("12.000000001", 12_000_000_001), ("", None)]:
        answer = operator_client.post(address, {"name": "Acme", "monthly_nanousd": written, **inline})
        assert answer.status_code == 302, answer.context["errors"]
        assert Tenant.objects.get(pk=acme.pk).monthly_nanousd == nanousd
        assert valkey.hget(limits_key(acme.pk), "monthly_nanousd") == str(nanousd or "")
        assert f'value="{written}"' in operator_client.get(address).text or not written
    assert (
        operator_client.post(address, {"name": "Acme", "monthly_nanousd": "0", **inline}).status_code == 200
    )


def test_renaming_a_tenant_leaves_what_the_gate_counts(operator_client, acme, monkeypatch):
    """A change that the gate must know may come while an operator's form is saved."""
    inline = {f"memberships-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    before = Tenant.objects.get(pk=acme.pk).gate_changes
    save = Tenant.save

    def saved_after_another_change(tenant, **options):
        gate.changed(tenant.pk)
        save(tenant, **options)

    monkeypatch.setattr(Tenant, "save", saved_after_another_change)
    operator_client.post(page("tenant", "change", acme.pk), {"name": "Acme & Co", **inline})
    after = Tenant.objects.get(pk=acme.pk)
    assert (after.name, after.gate_changes) == ("Acme & Co", before + 2)


def test_the_console_says_limits_in_words(operator_client, acme):
    key, _ = keys.issue(acme, name="laptop", by=None, monthly_nanousd=2_500_000_000, parallel_requests=1)
    assert "$2.50 a month, 1 request at once" in operator_client.get(page("apikey")).text
    assert "$2.50" in operator_client.get(page("apikey", "change", key.pk)).text


def test_an_operator_adds_a_user(operator_client):
    assert operator_client.get(page("user", "add")).status_code == 200
    facts = {"email": "dora@example.org", "usable_password": "true"}
    facts |= {"password1": "a long winding road", "password2": "a long winding road"}
    assert operator_client.post(page("user", "add"), facts).status_code == 302
    assert User.objects.get(email="dora@example.org").check_password("a long winding road")
