"""The invoice as a PDF, and whom it is made out to."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import override

from billing.invoices import details, pdf
from billing.invoices.credit_notes import issue_credit_note
from billing.invoices.invoice_lines import LineText
from core import months
from core.money import NANO
from metering.ledger import record_events
from metering.models import Invoice, InvoiceLine
from tests.billing.builders import LAST_MONTH, api_client, bill, read
from tests.tenants.builders import owner_of


def test_a_small_invoice_is_one_page_with_all_its_lines(alice_client, invoice):
    answer = alice_client.get(reverse("billing:invoice_pdf", args=[invoice.pk]))
    assert answer["Content-Type"] == "application/pdf"
    assert "PS-000001.pdf" in answer["Content-Disposition"]
    count, text = read(answer.content)
    assert count == 1
    assert "Invoice PS-000001" in text
    assert "$12.00" in text
    for line in invoice.lines.all():
        assert line.text in text


def test_the_same_invoice_gives_the_same_bytes_by_page_and_api(invoice):
    program = api_client(invoice.tenant, "billing:read")
    address = f"/api/v1/invoices/{invoice.pk}/pdf"
    answer = program.get(address)
    assert answer["Content-Type"] == "application/pdf"
    as_bytes = program.get(address, headers={"Accept": "application/octet-stream"})
    assert as_bytes["Content-Type"] == "application/octet-stream"
    assert as_bytes.content.startswith(b"%PDF")
    assert answer.content == pdf.invoice_pdf(Invoice.objects.get(pk=invoice.pk))


def test_a_page_in_german_gives_a_german_document(alice_client, invoice):
    german = {"Accept-Language": "de"}
    answer = alice_client.get(reverse("billing:invoice_pdf", args=[invoice.pk]), headers=german)
    _, text = read(answer.content)
    amounts = ("Zu bezahlen", "12,00\u00a0$", "monatliche Grundgebühr")
    for expected in ("Rechnung PS-000001", *amounts, "Seite 1 von 1"):
        assert expected in text
    month, _ = months.bounds(LAST_MONTH)
    with override("de"):
        assert date_format(month, "F Y") in text
        assert pdf.date_text(invoice.finalized_at) in text


def test_a_credit_note_in_german(alice_client, invoice):
    note = issue_credit_note(invoice, 2 * NANO, settlement="owed", reason="Two days off", actor="op")
    address = reverse("billing:credit_note_pdf", args=[note.pk])
    _, text = read(alice_client.get(address, headers={"Accept-Language": "de"}).content)
    for expected in ("Gutschrift CN-000001", "Weniger zu bezahlen", "2,00\u00a0$", "Two days off"):
        assert expected in text


def test_numbers_in_the_lines_of_a_german_document_are_german(invoice):
    text = "Included in Writer: 1,200 of 5,000,000 tokens"
    message = LineText.INCLUDED(plan="Writer", covered=1_200, tokens=5_000_000)
    line = InvoiceLine(kind="included", text=text, message=message, amount_nanousd=-NANO)
    with override("de"):
        [row] = pdf.line_rows([line])
    assert row.text == "In Writer enthalten: 1.200 von 5.000.000 Tokens"
    assert pdf.line_rows([line])[0].text == text


def test_it_is_made_out_to_the_details_of_the_day_it_was_finalized(alice_client, on_writer, settings):
    settings.INVOICE_ISSUER = "Scribes Ltd\n2 Low Street"
    sent = {"name": "#Acme [*Ltd*]", "address": "1 High Street\n\nLondon", "tax_id": "GB1", "reference": ""}
    alice_client.post(reverse("billing:billing_details"), sent)
    invoice = bill(on_writer, LAST_MONTH, timezone.now())
    details.set_details({"name": "Another Ltd"}, by=owner_of(on_writer))
    settings.INVOICE_ISSUER = "Others Ltd"
    _, text = read(pdf.invoice_pdf(Invoice.objects.get(pk=invoice.pk)))
    for line in ("#Acme [*Ltd*]", "1 High Street", "London", "Tax ID GB1", "Scribes Ltd"):
        assert line in text
    assert "Another" not in text
    assert "Others" not in text
    with pytest.raises(IntegrityError), transaction.atomic():
        Invoice.objects.filter(pk=invoice.pk).update(bill_to="Another Ltd")


def test_three_styles_with_all_their_meters_fit_on_one_page(on_writer, event, settings):
    settings.INVOICE_ISSUER = "Scribes Ltd\n2 Low Street\nDublin\nVAT IE1"
    settings.PAYMENT_INSTRUCTIONS = "IBAN GB00\nwithin 14 days"
    own = {"name": "Acme Ltd", "address": "1 High Street\nLondon\nUK", "tax_id": "GB1"}
    details.set_details(own, by=owner_of(on_writer))
    at = months.bounds(LAST_MONTH)[0] + timedelta(days=3)
    used = {"prompt_tokens": 1_234_567, "cached_tokens": 230_000, "completion_tokens": 3_456_789}
    for style in ("acme/noir", "acme/brand-voice", "poetry"):
        record_events([event(on_writer, admitted_at=at, style_name=style, **used)])
    invoice = bill(on_writer, LAST_MONTH, timezone.now())
    count, text = read(pdf.invoice_pdf(invoice))
    assert (count, invoice.lines.count()) == (1, 12)
    assert "Please include the reference PS-000001." in text


def test_a_long_invoice_goes_on_with_its_head_on_each_page(invoice):
    rows = [pdf.Row(f"Line {number}", "$1.00", quantity="1") for number in range(90)]
    head = {"title": "Invoice", "heading": "Invoice", "summary": "$90.00", "date": (2026, 1, 2)}
    parties = {"issuer": ["A"], "bill_to": ["B"], "facts": [("Issued", "today")]}
    document = pdf.Document(**head, **parties, lines=rows, total=("Total", "$90.00"))
    count, text = read(pdf.render(document))
    assert count > 1
    assert text.count("AMOUNT") == count
    assert "Line 89" in text
    assert f"Page {count} of {count}" in text
