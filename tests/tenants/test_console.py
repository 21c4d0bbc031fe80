from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from accounts import workspaces
from accounts.workspaces import create_tenant, playground_key
from billing.invoices import invoices
from billing.plan_changes import change_plan
from core import months
from core.console import OperatorAdmin
from core.valkey import limits_key
from events.models import EventType, OutboxEvent, WebhookEndpoint
from metering import plans
from metering.ledger import record_events
from metering.models import CreditGrant, LedgerEntry
from metering.quota_sync import snapshot
from tenants.audit import record_audit
from tenants.models import ApiKey, AuditEntry, Tenant, User
from tests.tenants.builders import browser_of, issue_key, owner_of

NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
SURE = {"confirmed": "1", "why": "They asked for it."}


def page(model: str, name: str = "changelist", *args: object, app: str = "") -> str:
    [owner] = [found._meta.app_label for found in site._registry if found._meta.model_name == model]
    return reverse(f"admin:{app or owner}_{model}_{name}", args=args)


def test_members_see_no_list(alice_client):
    opened = [
        model.__name__
        for model in site._registry
        if alice_client.get(page(model._meta.model_name, app=model._meta.app_label)).status_code != 302
    ]
    assert opened == []


def test_what_is_booked_can_be_read_and_not_changed(operator_client, acme, event):
    record_events([event(acme)])
    entry = LedgerEntry.objects.get()
    address = page("ledgerentry", "change", entry.pk)
    assert operator_client.get(address).status_code == 200
    assert operator_client.post(address, {"amount_nanousd": 0}).status_code == 403
    assert operator_client.post(page("ledgerentry", "delete", entry.pk)).status_code == 403


def test_an_operator_revokes_a_key_and_never_sees_its_digest(operator_client, acme):
    key, _ = issue_key(acme, name="laptop", by=None)
    shown = operator_client.get(page("apikey", "change", key.pk))
    assert shown.status_code == 200
    assert key.digest not in shown.text
    chosen = [key.pk, playground_key(acme).pk]
    operator_client.post(page("apikey"), {"action": "revoke", "_selected_action": chosen, **SURE})
    assert ApiKey.objects.get(pk=key.pk).revoked_at
    assert not playground_key(acme).revoked_at


def test_an_operator_changes_a_plan_for_which_another_change_is_scheduled(operator_client, acme):
    change_plan("writer", by=owner_of(acme))
    change_plan("free", by=owner_of(acme))
    chosen = {"tenant": acme.pk, "plan_version": plans.newest_plan_version("enterprise").pk, "why": "Agreed."}
    assert operator_client.post(page("subscription", "add"), chosen).status_code == 302
    assert plans.plan_version_at(acme, timezone.now()).plan_id == "enterprise"
    assert plans.plan_version_at(acme, timezone.now() + timedelta(days=40)).plan_id == "enterprise"


def test_operators_say_how_much_may_be_unpaid_and_admission_learns_it(
    operator_client, acme, valkey, django_capture_on_commit_callbacks
):
    workspaces.subscribe_tenant(acme, plans.newest_plan_version("studio"))
    address = page("tenant", "change", acme.pk)
    form = {"name": acme.name, "why": "Order 4711", **NO_MEMBERS}
    for written, lent in (("", ":u"), ("0", " 0:u"), ("12.50", " 12500000000:u")):
        with django_capture_on_commit_callbacks(execute=True):
            answer = operator_client.post(address, {**form, "unpaid_cap_nanousd": written})
        assert answer.status_code == 302, written
        snapshot.publish_snapshot(acme.pk)
        assert valkey.hget(limits_key(acme.pk), "credits").endswith(lent)
    with django_capture_on_commit_callbacks(execute=True):
        facts = {"period": "2026-09", "plan": "Studio", "number": 1, "total_nanousd": 1, "state": "finalized"}
        invoices.pay_invoice(acme.invoices.create(**facts), actor="op", reason="Transfer 7")
    assert valkey.hget(limits_key(acme.pk), "credits") == ""


def test_operators_say_which_plans_everybody_may_choose(operator_client):
    form = {"code": "enterprise", "name": "Enterprise", "is_offered": "on", "why": "From now on."}
    assert operator_client.post(page("plan", "change", "enterprise"), form).status_code == 302
    assert "enterprise" in [version.plan_id for version in plans.offered_plans()]
    entry = AuditEntry.objects.get(object_type="metering.plan")
    assert entry.after["is_offered"] is True


def test_an_operator_sets_a_tenants_budget_in_dollars_and_it_is_to_be_published(operator_client, acme):
    address = page("tenant", "change", acme.pk)
    form = {"name": "Acme", **NO_MEMBERS, "why": "They asked."}
    for written, nanousd in [("12.000000001", 12_000_000_001), ("", None)]:
        Tenant.objects.update(observed_generation=F("generation"))
        answer = operator_client.post(address, {**form, "monthly_nanousd": written})
        assert answer.status_code == 302, answer.context["errors"]
        assert Tenant.objects.stale().get().monthly_nanousd == nanousd
        assert f'value="{written}"' in operator_client.get(address).text or not written
    assert operator_client.post(address, {**form, "monthly_nanousd": "0"}).status_code == 200


def test_renaming_a_tenant_leaves_its_generation(operator_client, acme, monkeypatch):
    """A change that the data plane must know may come while an operator's form is saved."""
    before = Tenant.objects.get(pk=acme.pk).generation
    save = Tenant.save

    def saved_after_another_change(tenant, **options):
        snapshot.mark_changed(tenant.pk)
        save(tenant, **options)

    monkeypatch.setattr(Tenant, "save", saved_after_another_change)
    form = {"name": "Acme & Co", **NO_MEMBERS, "why": "They asked."}
    operator_client.post(page("tenant", "change", acme.pk), form)
    after = Tenant.objects.get(pk=acme.pk)
    assert (after.name, after.generation) == ("Acme & Co", before + 2)


def test_the_console_says_limits_in_words(operator_client, acme):
    key, _ = issue_key(acme, name="laptop", by=None, monthly_nanousd=2_500_000_000, parallel_requests=1)
    assert "$2.50 per month, 1 concurrent request" in operator_client.get(page("apikey")).text
    assert "$2.50" in operator_client.get(page("apikey", "change", key.pk)).text


def test_an_operator_adds_a_user(operator_client):
    assert operator_client.get(page("user", "add")).status_code == 200
    facts = {"email": "dora@example.org", "usable_password": "true", "why": "She asked."}
    facts |= {"password1": "a long winding road", "password2": "a long winding road"}
    assert operator_client.post(page("user", "add"), facts).status_code == 302
    assert User.objects.get(email="dora@example.org").check_password("a long winding road")


def test_an_action_asks_first_wants_a_reason_says_what_it_did_and_is_written_down(
    operator_client, operator, acme
):
    suspend = {"action": "suspend", "_selected_action": [acme.pk]}
    asked = operator_client.post(page("tenant"), suspend)
    assert "All their requests are refused immediately" in asked.text
    operator_client.post(page("tenant"), suspend | {"confirmed": "1", "why": "  "})
    assert Tenant.objects.get(pk=acme.pk).suspended_at is None
    assert not AuditEntry.objects.exists()

    done = operator_client.post(page("tenant"), suspend | {"confirmed": "1", "why": "Spam"}, follow=True)
    assert f'Suspended (1): <a href="{page("tenant", "change", acme.pk)}">Acme</a>.' in done.text
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_type) == (operator, "suspend", "tenants.tenant")
    assert (entry.object_id, entry.reason, entry.address) == (str(acme.pk), "Spam", "127.0.0.1")
    assert entry.before["suspended_at"] is None
    assert entry.after["suspended_at"]
    assert "Spam" in operator_client.get(page("auditentry")).text


def test_a_workspaces_page_suspends_it_and_lifts_that_and_both_are_written_down(operator_client, acme):
    change = page("tenant", "change", acme.pk)
    for action, label in (("suspend", "Suspend"), ("resume", "Lift suspension")):
        shown = operator_client.get(change)
        assert shown.context["workspace"]["suspension"] == {"action": action, "label": label}
        assert f'value="{action}" type="submit"> {label} </button>' in " ".join(shown.text.split())
        sent = {"action": action, "_selected_action": [acme.pk], "next": change}
        done = operator_client.post(page("tenant"), {**sent, "confirmed": "1", "why": "Spam"}, follow=True)
        assert done.redirect_chain == [(change, 302)]
        assert bool(Tenant.objects.get(pk=acme.pk).suspended_at) == (action == "suspend")
    logged = AuditEntry.objects.order_by("pk").values_list("action", "reason")
    assert list(logged) == [("suspend", "Spam"), ("resume", "Spam")]


def test_what_is_off_is_no_fault(operator_client, acme):
    """A suspended workspace and an unverified address are as somebody wanted them."""
    Tenant.objects.filter(pk=acme.pk).update(suspended_at=timezone.now())
    shown = operator_client.get(page("tenant"))
    assert '<span class="mark" data-level="">Suspended</span>' in shown.text
    people = operator_client.get(page("user")).text
    assert '<span class="sr-only">No</span>' in people
    for text in (shown.text, people):
        assert "close_small" not in text  # unfold's red cross


def test_a_change_needs_a_reason_and_is_written_down(operator_client, acme):
    change, form = page("tenant", "change", acme.pk), {"name": "Acme & Co", **NO_MEMBERS}
    assert operator_client.post(change, form).status_code == 200
    assert Tenant.objects.get(pk=acme.pk).name == "Acme"
    operator_client.post(change, {**form, "why": "Their letter of today"})
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"name": "Acme"}, {"name": "Acme & Co"})


def test_whatever_the_console_changes_is_confirmed_and_written_down(operator, rf):
    """No page of Django's, allauth's or ours escapes: what can be changed is an OperatorAdmin's."""
    request = rf.get("/console/")
    request.user = operator
    for model_admin in site._registry.values():
        changes = model_admin.has_add_permission(request) or model_admin.has_change_permission(request)
        assert isinstance(model_admin, OperatorAdmin) or not changes, model_admin
        assert not model_admin.has_delete_permission(request), model_admin
        for action in model_admin._get_base_actions():
            assert action.name == "delete_selected" or hasattr(action.func, "is_operator_action"), action


@pytest.fixture
def clerk(db) -> User:
    """An operator who may change users and no more."""
    user = User.objects.create_user("clerk@example.org", is_staff=True)
    kinds = ("view_user", "add_user", "change_user", "delete_user")
    user.user_permissions.set(Permission.objects.filter(codename__in=kinds))
    return user


def test_who_may_change_users_gains_no_rights(clerk, operator, alice):
    client = browser_of(clerk)
    password = "a long winding road"
    new = {"password1": password, "password2": password, "usable_password": "true"}
    rights = {"is_active": "on", "is_staff": "on", "is_superuser": "on", "why": "I want to."}
    rights["user_permissions"] = [permission.pk for permission in Permission.objects.all()[:5]]
    for target in (clerk, operator, alice):
        before = User.objects.filter(pk=target.pk).values().get()
        taken = {"email": "taken@example.org", **rights, "last_login_0": "", "last_login_1": ""}
        status = client.post(page("user", "change", target.pk), taken).status_code
        assert status == (302 if target == alice else 403)
        change_password = reverse("admin:auth_user_password_change", args=[target.pk])
        assert client.post(change_password, new).status_code == 403
        assert client.post(page("user", "delete", target.pk), {"post": "yes"}).status_code == 403
        assert User.objects.filter(pk=target.pk).values().get() == before
        assert not target.user_permissions.exclude(codename__endswith="_user").exists()
    for kept in ("auth_group", "mfa_authenticator", "account_emailaddress"):
        assert client.get(reverse(f"admin:{kept}_changelist")).status_code == 403


@pytest.fixture
def endpoint(acme) -> WebhookEndpoint:
    url = "https://hooks.example.com/services/T0/secret-path"
    facts = {"description": "Chat", "sealed_secret": "sealed-secret"}
    return WebhookEndpoint.objects.create(tenant=acme, url=url, **facts)


def test_operators_see_how_an_endpoint_does_and_neither_its_secret_nor_its_path(
    operator_client, acme, endpoint
):
    event = OutboxEvent.objects.create(tenant=acme, type=EventType.KEY_CREATED, object={})
    now = timezone.now()
    for answered in ("It returned 200.", "It returned 500."):
        endpoint.deliveries.create(event=event, attempted_at=now, failure=answered)
    endpoint.deliveries.create(event=event)  # not attempted yet
    for address in (page("webhookendpoint"), page("webhookendpoint", "change", endpoint.pk)):
        shown = operator_client.get(address).text
        assert "https://hooks.example.com/…" in shown
        assert "Pending: It returned 500." in shown
        assert "secret-path" not in shown
        assert "sealed-secret" not in shown
    assert "Acme" in operator_client.get(page("webhookendpoint")).text
    assert operator_client.post(page("webhookendpoint", "change", endpoint.pk), {}).status_code == 403


def test_an_operator_disables_an_endpoint_once_and_its_owner_reads_why(
    operator_client, operator, acme, endpoint
):
    disable = {"action": "disable", "_selected_action": [endpoint.pk]}
    asked = operator_client.post(page("webhookendpoint"), disable)
    assert "Pending deliveries are dropped" in asked.text
    for _ in range(2):
        sure = disable | {"confirmed": "1", "why": "It floods a neighbour."}
        answer = operator_client.post(page("webhookendpoint"), sure, follow=True)
    assert "This endpoint is already disabled." in answer.text
    told = "Disabled by the operators of this site: It floods a neighbour."
    assert WebhookEndpoint.objects.get().disabled_reason == told
    assert told in operator_client.get(page("webhookendpoint")).text
    assert OutboxEvent.objects.get(type=EventType.WEBHOOK_DISABLED).facts == {"reason": told}
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason) == (operator, "disable", "It floods a neighbour.")
    assert entry.object_name == "https://hooks.example.com/…"
    assert "seal" not in str(entry.before) + str(entry.after)


def test_operators_read_what_became_of_mails_about_events(operator_client, alice, acme):
    event = OutboxEvent.objects.create(tenant=acme, type=EventType.KEY_CREATED, object={})
    facts = {"kind": "keys", "status": "failed", "failure": "No such box"}
    mail = event.mails.create(tenant=acme, membership=acme.memberships.get(user=alice), **facts)
    shown = operator_client.get(page("noticemail")).text
    assert [text for text in ("alice@example.org", "Acme", "No such box") if text not in shown] == []
    assert "No such box" in operator_client.get(page("noticemail", "change", mail.pk)).text
    assert operator_client.post(page("noticemail", "change", mail.pk), {"status": "sent"}).status_code == 403
    assert "No such box" in operator_client.get(page("noticemail"), {"q": "alice@example.org"}).text
    assert "No such box" not in operator_client.get(page("noticemail"), {"q": "bob@example.org"}).text


def test_operators_grant_credits_in_dollars_until_a_month(operator_client, acme):
    address = page("creditgrant", "add")
    assert operator_client.get(address).status_code == 200
    form = {"tenant": acme.pk, "amount_nanousd": "12.50", "source": "goodwill", "priority": "10"}
    form |= {"last_period": "2020-01", "reason": "For the outage", "why": "ticket 7"}
    assert f"Must be {months.current()} or later." in operator_client.post(address, form).text
    assert operator_client.post(address, form | {"last_period": "2099-12"}).status_code == 302
    grant = CreditGrant.objects.get()
    assert (grant.amount_nanousd, grant.last_period, grant.priority) == (12_500_000_000, "2099-12", 10)
    assert (grant.reason, grant.actor) == ("For the outage", "operator@example.org")
    entry = AuditEntry.objects.get(object_type="metering.creditgrant")
    assert (entry.reason, entry.after["source"]) == ("ticket 7", "goodwill")
    shown = operator_client.get(page("creditgrant", "change", grant.pk))
    assert b"12.5" in shown.content
    assert b"$12.50" in operator_client.get(page("creditgrant", "changelist")).content


@pytest.mark.parametrize(("effect", "sign"), [("less", -1), ("more", 1)])
def test_operators_adjust_a_month_with_a_line_on_its_invoice(operator_client, acme, effect, sign):
    form = {"tenant": acme.pk, "effect": effect, "amount_nanousd": "3", "reason": "Agreed", "why": "call"}
    assert operator_client.post(page("ledgerentry", "add"), form).status_code == 302
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.amount_nanousd) == ("adjustment", sign * 3_000_000_000)
    line, *kept = invoices.preview_invoice(acme, entry.period).lines
    assert [one.kind for one in kept] == (["kept"] if effect == "less" else [])
    assert (line.kind, line.text, line.amount_nanousd) == ("adjustment", "Agreed", entry.amount_nanousd)
    assert AuditEntry.objects.get(object_type="metering.ledgerentry").reason == "call"


def test_a_workspace_has_one_page_with_what_it_is_and_has(operator_client, acme, alice, event):
    key, _ = issue_key(acme, name="laptop", by=alice)
    record_events([event(acme)])
    record_audit(alice, action="api_key.created", row=key, tenant=acme)
    suspend = {"action": "suspend", "_selected_action": [acme.pk], **SURE}
    operator_client.post(page("tenant"), suspend)
    shown = operator_client.get(page("tenant", "change", acme.pk))
    assert shown.context["workspace"]["state"].note == "They asked for it."
    figures = {figure.name: figure for figure in shown.context["workspace"]["figures"]}
    assert list(figures) == [
        *("Plan", "Tokens this month", "Spent this month", "Members", "Styles"),
        *("API keys", "Invoices due"),
    ]
    assert (figures["Plan"].value, figures["Members"].value, figures["API keys"].value) == ("Free", "1", "1")
    assert " of " in figures["Tokens this month"].note
    for figure in figures.values():
        if figure.name == "Members":
            assert f'id="{figure.address[1:]}"' in shown.text
        else:
            assert operator_client.get(figure.address).context["cl"].params
    sections = {section.title: section for section in shown.context["workspace"]["sections"]}
    assert [row.name for row in sections["API keys"].rows] == [str(key)]
    log = [row.name for row in sections["Audit log"].rows]
    assert log == ["Suspend: Acme", f"API key created: {key}"]
    for section in sections.values():
        assert operator_client.get(section.address).status_code == 200
        for row in section.rows:
            assert operator_client.get(row.address).status_code == 200
    for _, address in shown.context["workspace"]["links"]:
        assert operator_client.get(address).status_code == 200


def test_another_plan_version_is_assigned_from_the_workspaces_page(operator_client, acme):
    shown = operator_client.get(page("tenant", "change", acme.pk))
    section = next(one for one in shown.context["workspace"]["sections"] if one.title == "Plans")
    assert [row.name for row in section.rows] == [str(acme.subscriptions.get().plan_version)]
    assert f'value="{acme.pk}"' in operator_client.get(section.add_address).text
    agreed = plans.newest_plan_version("enterprise")
    chosen = {"tenant": acme.pk, "plan_version": agreed.pk, **SURE}
    assert operator_client.post(section.add_address, chosen).status_code == 302
    assert plans.limits_of(acme, timezone.now()).parallel_requests == agreed.parallel_requests


def test_members_read_why_their_workspace_is_suspended(operator_client, alice_client, acme):
    suspend = {"action": "suspend", "_selected_action": [acme.pk], **SURE}
    operator_client.post(page("tenant"), suspend)
    assert "Reason from the operators: They asked for it." in alice_client.get(reverse("billing:usage")).text
    assert OutboxEvent.objects.get(type=EventType.WORKSPACE_SUSPENDED).facts == {
        "reason": "They asked for it."
    }
    operator_client.post(page("tenant"), {**suspend, "action": "resume"})
    assert Tenant.objects.get(pk=acme.pk).suspended_reason == ""


def test_figures_of_a_workspace_lead_to_its_rows_alone(operator_client, acme):
    """A search would also find what belongs to a workspace whose name contains this one's."""
    other = create_tenant(User.objects.create_user("eve@example.org"), name="Acme two")
    for tenant in (acme, other):
        issue_key(tenant, name="acme", by=None)
    shown = operator_client.get(page("tenant", "change", acme.pk))
    figures = shown.context["workspace"]["figures"]
    [address] = [figure.address for figure in figures if figure.name == "API keys"]
    found = operator_client.get(address).context["cl"].queryset
    assert {key.tenant_id for key in found} == {acme.pk}
