"""What corrects a finalized invoice: numbers, bounds, ledger entries, and where people read it."""

from contextlib import suppress

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.urls import reverse

from billing.invoices import credit_notes, invoices, pdf
from billing.invoices.credit_notes import TooMuchCredited, WrongSettlement, due_nanousd, issue_credit_note
from billing.models import CreditNote, CreditNoteNumber
from core import months
from core.money import NANO
from events.models import OutboxEvent
from metering import credits
from metering.models import Invoice, LedgerEntry
from metering.plans import newest_plan_version
from metering.unpaid import has_paid_invoice, owed_before_nanousd, unpaid_cap_nanousd
from tenants.models import AuditEntry, Tenant
from tests.billing.builders import CENT, LAST_MONTH, api_client, read
from tests.racing import race


def issue(invoice, amount, settlement="owed", reason="Half a day without an engine."):
    return issue_credit_note(invoice, amount, settlement=settlement, reason=reason, actor="op@example.org")


def balance(invoice) -> int:
    """Return what the ledger says that the workspace owes in all."""
    entries = LedgerEntry.objects.filter(tenant=invoice.tenant_id)
    return entries.aggregate(total=Sum("amount_nanousd"))["total"]


def test_an_unpaid_invoice_costs_less_and_is_paid_once_nothing_is_left(invoice):
    first = issue(invoice, 2 * NANO)
    assert (str(first), due_nanousd(invoice), balance(invoice)) == ("CN-000001", 10 * NANO, 10 * NANO)
    assert invoices.balance_nanousd(invoice.tenant_id) == 10 * NANO
    assert invoice.state == "finalized"
    second = issue(invoice, 10 * NANO, reason="All of it.")
    assert (str(second), invoice.state, balance(invoice)) == ("CN-000002", "paid", 0)
    assert OutboxEvent.objects.filter(type="credit_note.issued").count() == 2
    assert OutboxEvent.objects.filter(type="invoice.paid").count() == 1


def test_what_is_due_in_the_console_is_less_its_credit_notes(operator_client, invoice):
    issue(invoice, 2 * NANO)
    shown = operator_client.get(reverse("admin:index"))
    overview = [figure for group in shown.context["groups"] for figure in group.figures]
    page = operator_client.get(reverse("admin:tenants_tenant_change", args=[invoice.tenant_id]))
    for figures in (overview, page.context["workspace"]["figures"]):
        [due] = [figure for figure in figures if figure.name == "Invoices due"]
        assert (due.value, due.note) == ("1", "$10.00")


def test_a_write_off_is_no_payment_and_the_cap_on_unpaid_usage_stays(invoice):
    tenant = invoice.tenant
    studio = newest_plan_version("studio")
    cap = unpaid_cap_nanousd(tenant, studio)
    generation = Tenant.objects.get(pk=tenant.pk).generation
    issue(invoice, 2 * NANO)
    assert owed_before_nanousd(tenant, months.current()) == 10 * NANO
    assert Tenant.objects.get(pk=tenant.pk).generation > generation, "more may be used, so it's published"
    issue(invoice, 10 * NANO, reason="All of it.")
    assert (invoice.state, owed_before_nanousd(tenant, months.current())) == ("paid", 0)
    assert cap is not None
    assert unpaid_cap_nanousd(tenant, studio) == cap


def test_an_invoice_paid_in_part_counts_as_paid_until_all_of_it_is_given_back(invoice):
    issue(invoice, 2 * NANO)
    invoices.pay_invoice(invoice, actor="op", reason="Transfer 7")
    assert has_paid_invoice(invoice.tenant)
    issue(invoice, 10 * NANO, "refund", "Sent back.")
    assert not has_paid_invoice(invoice.tenant)


def test_paying_asks_only_for_what_is_left(invoice):
    issue(invoice, 2 * NANO)
    invoices.pay_invoice(invoice, actor="op", reason="Transfer 7")
    assert LedgerEntry.objects.get(kind="payment").amount_nanousd == -10 * NANO
    assert balance(invoice) == 0


def test_a_void_invoice_writes_off_what_is_left_and_takes_no_more_notes(invoice):
    issue(invoice, 2 * NANO)
    invoices.void_invoice(invoice, actor="op", reason="Never ordered")
    assert balance(invoice) == 0
    with pytest.raises(credit_notes.NotCorrectable):
        issue(invoice, NANO, reason="Again")


def test_of_a_paid_invoice_the_amount_comes_back_as_credits_or_as_money(invoice):
    invoices.pay_invoice(invoice, actor="op", reason="Transfer 7")
    issue(invoice, 3 * NANO, "credits")
    assert credits.credits_left(invoice.tenant, LAST_MONTH) == 0
    grant = invoice.tenant.credit_grants.get()
    assert (grant.amount_nanousd, balance(invoice)) == (3 * NANO, -3 * NANO)
    issue(invoice, NANO, "refund", "Sent back.")
    assert balance(invoice) == -3 * NANO  # what was written off was paid back
    with pytest.raises(WrongSettlement):
        issue(invoice, NANO, "owed", "Less.")


def test_a_note_begins_at_its_invoice_with_what_is_left(operator_client, invoice):
    issue(invoice, 2 * NANO)
    begin = reverse("admin:metering_invoice_credit", args=[invoice.pk])
    assert begin in operator_client.get(reverse("admin:metering_invoice_change", args=[invoice.pk])).text
    form = operator_client.get(begin, follow=True).context["adminform"].form
    assert form["invoice"].initial == str(invoice.pk)
    assert form["amount_nanousd"].initial == "10.00"
    assert form["settlement"].initial == "owed"
    invoices.void_invoice(invoice, actor="op", reason="Never ordered")
    refused = operator_client.get(begin, follow=True)
    assert "Only finalized or paid invoices can have a credit note" in refused.text


@pytest.mark.parametrize("amount", [0, -NANO, 12 * NANO + CENT, NANO + 1])
def test_an_amount_that_is_not_left_or_no_whole_cent_is_refused_and_takes_no_number(invoice, amount):
    with pytest.raises(TooMuchCredited):
        issue(invoice, amount)
    assert CreditNoteNumber.objects.get().last == 0


def test_a_note_never_changes(invoice):
    note = issue(invoice, NANO)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditNote.objects.filter(pk=note.pk).update(amount_nanousd=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditNote.objects.filter(pk=note.pk).delete()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_never_credit_more_than_the_invoice_and_leave_no_gap(invoice):
    reasons = iter("abcd")

    def try_to_issue():
        with suppress(TooMuchCredited, credit_notes.NotCorrectable):
            issue(Invoice.objects.get(pk=invoice.pk), 5 * NANO, reason=next(reasons))

    race(*[try_to_issue] * 4)
    numbers = list(CreditNote.objects.order_by("number").values_list("number", flat=True))
    assert numbers == [1, 2]
    assert due_nanousd(Invoice.objects.get(pk=invoice.pk)) == 2 * NANO


def test_people_and_programs_read_it(alice_client, invoice):
    note = issue(invoice, 2 * NANO)
    page = alice_client.get(reverse("billing:invoice", args=[invoice.pk])).text
    assert "CN-000001" in page
    assert "$10.00 due" in page
    assert "CN-000001: $2.00" in alice_client.get(reverse("billing:credit_note", args=[note.pk])).text
    answer = alice_client.get(reverse("billing:credit_note_pdf", args=[note.pk]))
    assert "Half a day without an engine." in read(answer.content)[1]
    _, text = read(pdf.invoice_pdf(Invoice.objects.get(pk=invoice.pk)))
    assert "Credited with CN-000001" in text
    assert "$10.00" in text
    program = api_client(invoice.tenant, "billing:read")
    (listed,) = program.get("/api/v1/credit-notes").json()["data"]
    assert listed == program.get(f"/api/v1/credit-notes/{note.pk}").json()
    assert (listed["invoice_number"], listed["amount_usd"]) == ("PS-000001", "2.00")
    assert program.get(f"/api/v1/invoices/{invoice.pk}").json()["due_usd"] == "10.00"


def test_an_operator_issues_one_in_dollars_once_with_a_reason(operator_client, invoice):
    form = {"invoice": invoice.pk, "amount_nanousd": "2.50", "settlement": "owed", "why": "Ticket 9"}
    form["reason"] = "An outage."
    address = reverse("admin:billing_creditnote_add")
    assert operator_client.post(address, form).status_code == 302
    note = CreditNote.objects.get()
    assert (note.amount_nanousd, str(note)) == (5 * NANO // 2, "CN-000001")
    assert AuditEntry.objects.get(action="add").object_id == str(note.pk)
    again = operator_client.post(address, form)
    assert "already has a credit note with this reason" in again.text
    too_much = operator_client.post(address, {**form, "amount_nanousd": "10.00", "reason": "More."})
    assert "At most $9.50 of this invoice can be credited" in too_much.text
    assert CreditNote.objects.count() == 1
