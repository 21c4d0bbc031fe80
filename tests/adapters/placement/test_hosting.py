"""Hosting: which private styles count in a month, and the line of the invoice."""

from datetime import UTC, datetime

import pytest

from adapters.catalog import sharing
from adapters.models import Placement, Style
from adapters.placement import transitions
from billing.invoices import invoices
from core import months
from core.money import NANO
from metering.models import HostedStyle, LedgerEntry, PriceBook
from tests.adapters.builders import known

pytestmark = pytest.mark.usefixtures("valkey")


def test_a_private_style_is_noted_once_however_many_versions_and_loads(acme, engine):
    first = known(acme, "noir", engine)
    known(acme, "noir", engine)
    transitions.record_all_hosted()
    row = HostedStyle.objects.get()
    assert (row.tenant, row.style, row.style_name) == (acme, first.style_id, "acme/noir")
    assert row.period == months.current()

    transitions.retire_version(first)
    transitions.record_all_hosted()
    assert HostedStyle.objects.count() == 1, "what was hosted was hosted"


def test_what_is_public_or_the_houses_own_or_on_no_engine_is_not_hosted(acme, engine, poetry):
    public = known(acme, "public", engine).style
    HostedStyle.objects.all().delete()
    sharing.set_public(public)
    unloaded = known(acme, "unloaded", engine)
    HostedStyle.objects.all().delete()
    Placement.objects.filter(version=unloaded).update(loaded_at=None)
    transitions.record_all_hosted()
    assert not HostedStyle.objects.exists()
    assert Style.objects.count() == 3


def test_a_style_that_stays_loaded_counts_in_each_month(acme, engine, monkeypatch):
    known(acme, "noir", engine)
    monkeypatch.setattr(months, "current", lambda: "2100-01")
    transitions.record_all_hosted()
    transitions.record_all_hosted()
    assert sorted(HostedStyle.objects.values_list("period", flat=True))[1:] == ["2100-01"]


def test_hosting_is_a_line_by_the_price_at_the_months_beginning_and_the_preview_has_it(acme, engine):
    for slug in ("noir", "blanc"):
        known(acme, slug, engine)
    HostedStyle.objects.update(period="2026-10")
    HostedStyle.objects.create(tenant=acme, style=acme.pk, style_name="acme/gone", period="2026-09")
    acme.created_at = datetime(2026, 9, 1, tzinfo=UTC)
    acme.save()
    november = datetime(2026, 11, 2, tzinfo=UTC)
    assert invoices.preview_invoice(acme, "2026-10").lines == [], "it costs nothing as shipped"

    PriceBook.objects.update(style_month_nanousd=2 * NANO)
    later = PriceBook.objects.create(
        effective_from=datetime(2026, 10, 2, tzinfo=UTC), style_month_nanousd=9 * NANO
    )
    general = PriceBook.objects.exclude(pk=later.pk).get().prices.get()
    general.pk, general.book = None, later
    general.save()
    preview = invoices.preview_invoice(acme, "2026-10")
    assert invoices.draft_month("2026-10") == 1
    invoice = invoices.finalize_invoice(acme.invoices.get(), november)
    [line] = invoice.lines.all()
    assert (line.kind, line.quantity, line.unit_nanousd) == ("hosting", 2, 2 * NANO)
    assert line.text == "Hosting of 2 private styles"
    assert preview.total_nanousd == invoice.total_nanousd == 4 * NANO
    booked = LedgerEntry.objects.get()
    assert (booked.kind, booked.amount_nanousd, booked.period) == ("hosting", 4 * NANO, "2026-10")
