"""The demo's sample data: what it has, that it is added once, and that its owner removes all of it."""

import io
import json

import pytest
from django.core.management import call_command
from django.db.models import F, Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters.models import BaseModel, Style
from adapters.public import found_workspace
from core import months
from core.money import usd
from events.models import WebhookDelivery, WebhookEndpoint
from metering.models import AuthorEarning, Invoice, LedgerEntry, UsageDaily, UsageEvent
from operations import seeding
from operations.models import SampleData
from operations.sample_data.seeding import DOMAIN, NotADemo, add_sample_data
from tenants.models import ApiKey, AuditEntry, Membership, Tenant, User
from tenants.models.keys import verify_key
from tests.operations.builders import used
from tests.tenants.builders import browser_of, issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
LAST = months.before(months.current())
BEFORE_LAST = months.before(LAST)
REMOVE = reverse("website:remove_sample_data")


@pytest.fixture
def base_model(settings) -> BaseModel:
    model, _ = BaseModel.objects.get_or_create(name=settings.BASE_MODEL, config={}, modules={})
    return model


@pytest.fixture
def demo(operator) -> Tenant:
    """The demo's own workspace, with a key and a request."""
    tenant = found_workspace(operator, name="Demo")
    key, _ = issue_key(tenant, name="Demo", by=operator)
    used(tenant, "poetry", key=key)
    return tenant


@pytest.fixture
def sample(operator, demo, base_model, poetry) -> Tenant:
    tenant = add_sample_data(operator)
    assert tenant
    return tenant


@pytest.fixture
def browser(operator, sample) -> Client:
    operator.refresh_from_db()
    return browser_of(operator)


def reconcile() -> None:
    """Compare all that is written about the months with usage. Raises CommandError where it differs."""
    for period in (BEFORE_LAST, LAST, months.current()):
        call_command("reconcile", "--period", period, stdout=io.StringIO())


def owed(tenant: Tenant, period: str) -> int:
    """Return what the ledger has of a month, without what was paid or given."""
    entries = LedgerEntry.objects.filter(tenant=tenant, period=period)
    entries = entries.exclude(kind=LedgerEntry.Kind.PAYMENT)
    return int(entries.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def test_usage_and_invoices_are_sums_of_the_ledger(sample, browser):
    used_days = UsageDaily.objects.filter(tenant=sample)
    for period in (BEFORE_LAST, LAST):
        start, end = months.bounds(period)
        of_month = used_days.filter(day__gte=start.date(), day__lt=end.date())
        assert of_month.values("day").distinct().count() > 25
        tokens = of_month.aggregate(total=Sum(F("prompt_tokens") + F("completion_tokens")))["total"]
        ledger = LedgerEntry.objects.filter(tenant=sample, kind="usage", period=period)
        assert ledger.aggregate(total=Sum("tokens"))["total"] == tokens
        page = browser.get(reverse("billing:usage"), {"month": period})
        assert f"{tokens:,}" in page.text
        assert owed(sample, period) == Invoice.objects.get(tenant=sample, period=period).total_nanousd
    reconcile()


def test_traffic_is_of_people_with_weekends_and_a_few_failures(sample):
    events = UsageEvent.objects.filter(tenant=sample, admitted_at__lt=months.bounds(LAST)[1])
    on_days = [0] * 7
    for at in events.values_list("admitted_at", flat=True):
        on_days[at.weekday()] += 1
    assert max(on_days[5:]) < min(on_days[:5])
    assert {"complete", "client_disconnect", "upstream_error"} == set(
        events.values_list("outcome", flat=True)
    )
    assert events.filter(outcome="complete").count() > 0.9 * events.count()
    assert {"poetry", "base"} <= set(events.values_list("style_name", flat=True))
    assert not UsageEvent.objects.filter(tenant=sample, admitted_at__gt=timezone.now()).exists()


def test_one_invoice_is_paid_and_one_is_open_with_its_pdf(sample, browser):
    invoices = Invoice.objects.filter(tenant=sample).order_by("period")
    assert [(one.period, one.state) for one in invoices] == [(BEFORE_LAST, "paid"), (LAST, "finalized")]
    assert all(one.closed_at is None or one.closed_at <= timezone.now() for one in invoices)
    page = browser.get(reverse("billing:invoices")).text
    for invoice in invoices:
        assert str(invoice) in page
        assert usd(invoice.total_nanousd) in page
        pdf = browser.get(reverse("billing:invoice_pdf", args=[invoice.pk]))
        assert pdf.content.startswith(b"%PDF")


def test_another_workspace_paid_for_its_shared_style(sample, browser):
    earned = AuthorEarning.objects.filter(author=sample).aggregate(
        total=Sum("earned_nanousd"), share=Sum("share_nanousd")
    )
    assert 0 < earned["total"] < earned["share"]
    assert "sample-workspace/field-notes" in browser.get(reverse("billing:earnings")).text


def test_a_team_of_three_of_whom_two_cannot_log_in(sample, operator, client):
    members = Membership.objects.filter(tenant=sample).select_related("user")
    assert {one.role for one in members} == {"owner", "admin", "billing"}
    for member in members.exclude(user=operator):
        assert member.user.email.endswith(f"@{DOMAIN}")
        assert not member.user.has_usable_password()
        client.force_login(member.user)
        assert client.get(reverse("member_home")).status_code == 302


def test_nothing_is_ever_sent_to_the_webhook(sample):
    endpoint = WebhookEndpoint.objects.get(tenant=sample)
    assert not endpoint.is_enabled
    statuses = set(WebhookDelivery.objects.filter(endpoint=endpoint).values_list("status", flat=True))
    assert statuses == {"delivered"}


def test_a_second_seed_adds_nothing_and_brings_nothing_back(sample, operator, browser):
    events = UsageEvent.objects.count()
    assert add_sample_data(operator) is None
    assert UsageEvent.objects.count() == events
    browser.post(REMOVE)
    assert add_sample_data(operator) is None
    assert not Tenant.objects.of(operator).filter(name=sample.name).exists()


def test_the_seeds_key_is_of_the_demos_own_workspace_each_time(tmp_path, monkeypatch, base_model):
    monkeypatch.setattr(seeding, "publish", lambda styles, say, **options: [])
    file = tmp_path / "demo.json"
    for _ in range(2):
        out = io.StringIO()
        call_command("seed", "--sample", "--styles", tmp_path, "--secrets", file, stdout=out)
    assert not out.getvalue()
    assert SampleData.objects.count() == 1
    assert verify_key(json.loads(file.read_text())["api_key"], Tenant.objects.get(name="Demo"))


def test_it_is_opened_first_and_says_what_it_is_to_its_owner(sample, demo, operator, browser):
    page = browser.get(reverse("member_home")).text
    assert "This workspace has sample data" in page
    assert REMOVE in page
    assert f'value="{demo.slug}"' in page
    browser.post(reverse("website:switch_workspace"), {"workspace": demo.slug})
    assert REMOVE not in browser.get(reverse("member_home")).text


def test_removing_it_leaves_nothing_in_reach_and_keeps_what_is_the_persons_own(
    sample, demo, operator, browser
):
    answer = browser.post(REMOVE, follow=True)
    assert "The sample data was removed." in answer.text
    assert answer.context["tenant"] == demo

    assert list(Tenant.objects.of(operator)) == [demo]
    assert not Membership.objects.exclude(tenant=demo).exists()
    assert not User.objects.filter(email__endswith=DOMAIN).exists()
    assert not WebhookEndpoint.objects.exists()
    assert not Style.objects.filter(owner=sample, retired_at=None).exists()
    assert (
        not ApiKey.objects.live(timezone.now())
        .exclude(tenant=demo)
        .exclude(tenant__is_first_party=True)
        .exists()
    )
    assert (
        not Tenant.objects.filter(deleted_at=None).exclude(pk=demo.pk).exclude(is_first_party=True).exists()
    )
    assert sample.name not in browser.get(reverse("website:create_workspace")).text
    invoice = Invoice.objects.filter(tenant=sample).first()
    assert browser.get(reverse("billing:invoice", args=[invoice.pk])).status_code == 404
    assert UsageDaily.objects.filter(tenant=demo).exists()
    assert ApiKey.objects.live(timezone.now()).filter(tenant=demo, name="Demo").exists()
    reconcile()
    entry = AuditEntry.objects.get(action="workspace.deleted", tenant=sample)
    assert entry.actor == operator
    assert browser.post(REMOVE).status_code == 404


def test_strangers_and_teammates_cannot_remove_it(sample, client, charlie_client, bob):
    assert client.post(REMOVE).status_code == 302
    assert charlie_client.post(REMOVE).status_code == 404
    Membership.objects.create(tenant=sample, user=bob, role=Membership.Role.ADMIN)
    User.objects.filter(pk=bob.pk).update(default_workspace=sample)
    bobs = browser_of(User.objects.get(pk=bob.pk))
    assert bobs.post(REMOVE).status_code == 403
    assert REMOVE not in bobs.get(reverse("member_home")).text
    assert SampleData.objects.get().removed_at is None


def test_a_style_that_somebody_added_to_it_is_not_lost_by_a_click(sample, base_model, browser):
    Style.objects.create(owner=sample, slug="mine", name="Mine", base_model=base_model)
    assert "You added styles to the sample workspace" in browser.post(REMOVE, follow=True).text
    assert SampleData.objects.get().removed_at is None


def test_a_site_that_serves_people_gets_none(operator, settings):
    settings.SECURE = True
    with pytest.raises(NotADemo):
        add_sample_data(operator)
    assert not SampleData.objects.exists()
