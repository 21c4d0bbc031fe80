"""The same invoice on the page, in the API, in the event and in the mail."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.invoices import invoices
from billing.views import invoices as invoice_views
from core.money import NANO
from events.models import NoticeMail, OutboxEvent
from events.notices.sending import compose_mail
from metering.ledger import record_events
from metering.models import PlanVersion, Price, PriceBook
from metering.plans import newest_plan_version
from tests.billing.builders import LAST_MONTH, api_client


def test_the_page_lists_what_is_owed_and_each_line_leads_to_the_ledger(alice_client, invoice):
    overview = alice_client.get(reverse("billing:invoices")).text
    assert "$12.00 due" in overview
    page = alice_client.get(reverse("billing:invoice", args=[invoice.pk])).text
    assert "PS-000001: $12.00" in page
    assert "acme/noir, cached input tokens" in page
    usage = invoice.lines.get(meter="output")
    assert f"Ledger entry {usage.first_entry}" in page
    assert "Included in Writer: 130 of 130 tokens" in page


@pytest.mark.parametrize("form", ["billing_details", "change_plan", "top_up"])
def test_members_may_not_change_money(bob_client, form):
    assert bob_client.post(reverse(f"billing:{form}"), {}).status_code == 403


def test_a_draft_is_nothing_that_customers_see(alice_client, on_writer):
    draft = invoices.draft_invoice(on_writer, LAST_MONTH)
    assert alice_client.get(reverse("billing:invoice", args=[draft.pk])).status_code == 404


def test_this_months_page_says_what_its_invoice_would_be(alice_client, on_writer, event):
    record_events([event(on_writer, admitted_at=timezone.now(), style_name="acme/noir")])
    page = alice_client.get(reverse("billing:invoices")).text
    assert f"{datetime.now(UTC):%B} so far: $12.00" in page
    assert "acme/noir, tokens" in page


def test_of_many_styles_the_dearest_are_listed_and_the_others_are_one_row(
    alice_client, on_writer, event, monkeypatch
):
    monkeypatch.setattr(invoice_views, "MAX_USAGE_ROWS", 2)
    now = timezone.now()
    used = [
        event(on_writer, admitted_at=now, style_name=f"acme/{n}", completion_tokens=10 * n) for n in range(5)
    ]
    record_events(used)
    lines = alice_client.get(reverse("billing:invoices")).context["lines"]
    texts = [line["text"] for line in lines]
    assert [text for text in texts if text.startswith("acme/")] == ["acme/3, tokens", "acme/4, tokens"]
    [folded] = [line for line in lines if "3 more" in line["text"]]
    assert folded["quantity"] == 3 * 100 + 10 + 20


def test_the_api_lists_it_and_the_preview_has_the_same_form(invoice):
    program = api_client(invoice.tenant, "billing:read")
    (listed,) = program.get("/api/v1/invoices").json()["data"]
    assert listed == program.get(f"/api/v1/invoices/{invoice.pk}").json()
    assert (listed["number"], listed["state"], listed["total_usd"]) == ("PS-000001", "finalized", "12.00")
    assert sum(line["amount_nanousd"] for line in listed["lines"]) == listed["total_nanousd"]
    preview = program.get("/api/v1/invoices/preview").json()
    assert preview["total_nanousd"] == 12 * NANO
    assert preview["lines"][0].keys() == listed["lines"][0].keys()


def test_its_owners_get_a_mail_and_programs_an_event(invoice, alice):
    event = OutboxEvent.objects.get(type="invoice.finalized")
    assert event.object["number"] == "PS-000001"
    letter = compose_mail(NoticeMail.objects.get(event=event))
    assert letter.to == [alice.email]
    assert "12.00" in letter.subject
    assert reverse("billing:invoice", args=[invoice.pk]) in letter.body


@pytest.mark.django_db
def test_everybody_reads_plans_and_prices_also_those_to_come(client):
    book = PriceBook.objects.create(effective_from=timezone.now() + timedelta(days=9))
    Price.objects.create(book=book, input_nanousd=111, cached_input_nanousd=30, output_nanousd=444)
    page = client.get(reverse("billing:prices")).text
    for text in ("Writer", "$12.00", "5,000,000", "$0.025", "$0.111", "$0.444"):
        assert text in page
    assert page.index("Free") < page.index("Writer") < page.index("Studio")


@pytest.mark.django_db
def test_a_version_of_a_plan_that_is_to_come_is_announced_and_nobody_gets_it_yet(operator_client, client):
    before = newest_plan_version("writer")
    form = {}
    for field in PlanVersion._meta.concrete_fields:
        value = getattr(before, field.attname)
        if field.name not in ("id", "created_at", "overage_allowed") and value is not None:
            form[field.name] = value
    form |= {"number": 3, "monthly_fee_nanousd": "13.37", "monthly_nanousd": "", "why": "A test"}
    form |= {"effective_from_0": "2100-01-01", "effective_from_1": "00:00:00"}
    answer = operator_client.post(reverse("admin:metering_planversion_add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    assert newest_plan_version("writer") == before
    page = client.get(reverse("billing:prices")).text
    assert page.index("$12.00") < page.index("$13.37")
    PlanVersion.objects.filter(number=3).update(effective_from=timezone.now())
    assert newest_plan_version("writer").number == 3
