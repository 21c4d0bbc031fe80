from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from core.valkey import limits_key
from operations.retention import delete_old
from tenants.accounts import raised_limits
from tenants.metering import plans
from tenants.models import AuditEntry, RaisedLimit, WorkspaceNote

pytestmark = pytest.mark.usefixtures("valkey")
MORE = "requests_per_minute"


def raise_it(acme, amount: int = 100, *, days: int = 1, limit: str = MORE) -> RaisedLimit:
    ends_at = timezone.now() + timedelta(days=days)
    return raised_limits.raise_limit(acme, limit, amount, ends_at=ends_at, actor=None, reason="Launch")


@pytest.mark.django_db(transaction=True)
def test_a_raised_limit_reaches_the_data_plane_and_ends_there_by_its_date(acme, valkey):
    before = plans.limits_of(acme, timezone.now()).requests_per_minute
    raised = raise_it(acme)
    assert valkey.hget(limits_key(acme.pk), MORE) == "100"
    # Nobody has to publish its end: the copy expires, and the next request publishes what holds then.
    assert valkey.pexpiretime(limits_key(acme.pk)) == int(raised.ends_at.timestamp() * 1000)
    after = plans.limits_of(acme, raised.ends_at)
    assert after.requests_per_minute == before
    assert after.tokens_per_minute == plans.limits_of(acme, timezone.now()).tokens_per_minute

    raised_limits.end_raised_limit(raised)
    assert valkey.hget(limits_key(acme.pk), MORE) == str(before)
    with pytest.raises(raised_limits.AlreadyEnded):
        raised_limits.end_raised_limit(raised)


def test_the_highest_counts_and_a_dearer_plan_wins(acme):
    raise_it(acme, 100)
    raise_it(acme, 200)
    now = timezone.now()
    assert plans.limits_of(acme, now).requests_per_minute == 200
    dearer = plans.newest_plan_version("studio")
    dearer.requests_per_minute = 5_000
    assert plans.limits_of(acme, now, dearer).requests_per_minute == 5_000


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"amount": 20}, raised_limits.NotRaised),
        ({"days": 0}, raised_limits.BadEnd),
        ({"days": 91}, raised_limits.BadEnd),
        ({"amount": 10**15}, raised_limits.TooHigh),
        ({"amount": 10**6, "limit": "max_output_tokens"}, raised_limits.TooHigh),
    ],
)
def test_what_raises_nothing_too_much_or_too_long_is_refused(acme, change, error):
    with pytest.raises(error):
        raise_it(acme, **change)
    assert not RaisedLimit.objects.exists()


def test_old_ones_are_pruned(acme):
    raised = raise_it(acme)
    later = raised.ends_at + timedelta(days=400)
    assert delete_old("RaisedLimit", later) == 0
    assert delete_old("RaisedLimit", later + timedelta(seconds=1)) == 1


def test_an_operator_raises_a_limit_on_the_workspaces_page(operator_client, operator, acme):
    workspace = reverse("admin:tenants_tenant_change", args=[acme.pk])
    add = section(operator_client, workspace, "Raised limits").add_address
    assert f'value="{acme.pk}"' in operator_client.get(add).text
    end = timezone.now() + timedelta(days=2)
    form = {
        "tenant": acme.pk, "limit": "parallel_requests", "amount": "4",
        "ends_at_0": f"{end:%Y-%m-%d}", "ends_at_1": f"{end:%H:%M:%S}", "why": "ticket 9",
    }  # fmt: skip
    refused = operator_client.post(add, form)
    assert "The workspace already has 4 concurrent requests" in refused.text
    assert operator_client.post(add, form | {"amount": "40"}).status_code == 302
    raised = RaisedLimit.objects.get()
    assert (raised.actor, raised.reason) == (operator, "ticket 9")
    assert plans.limits_of(acme, timezone.now()).parallel_requests == 40
    entry = AuditEntry.objects.get(object_type="tenants.raisedlimit")
    assert (entry.actor, entry.reason, entry.after["amount"]) == (operator, "ticket 9", 40)
    [row] = section(operator_client, workspace, "Raised limits").rows
    assert row.name == "40 concurrent requests"

    listed = reverse("admin:tenants_raisedlimit_changelist")
    end_now = {"action": "end_now", "_selected_action": [raised.pk], "confirmed": "1", "why": "Over"}
    operator_client.post(listed, end_now)
    assert plans.limits_of(acme, timezone.now()).parallel_requests == 4
    assert AuditEntry.objects.filter(action="end_now", reason="Over").exists()


def test_notes_have_an_author_and_are_never_edited(operator_client, operator, alice_client, acme):
    workspace = reverse("admin:tenants_tenant_change", args=[acme.pk])
    add = section(operator_client, workspace, "Notes").add_address
    assert operator_client.get(add).status_code == 200
    form = {"tenant": acme.pk, "text": "Called: they move to Studio in March."}
    assert operator_client.post(add, form).status_code == 302
    note = WorkspaceNote.objects.get()
    assert note.author == operator
    assert "move to Studio in March" in operator_client.get(workspace).text
    page = reverse("admin:tenants_workspacenote_change", args=[note.pk])
    assert operator_client.get(page).status_code == 200
    assert operator_client.post(page, {"text": "Never mind"}).status_code == 403
    entry = AuditEntry.objects.get(object_type="tenants.workspacenote", action="add")
    assert (entry.actor, entry.object_id) == (operator, str(note.pk))
    facts = AuditEntry.objects.filter(pk=entry.pk).values("after", "before", "reason", "object_name").get()
    assert "March" not in str(facts), "the log outlives the note"
    assert "March" not in alice_client.get(reverse("website:settings")).text


def section(client, workspace: str, title: str):
    sections = client.get(workspace).context["workspace"]["sections"]
    return next(one for one in sections if one.title == title)
