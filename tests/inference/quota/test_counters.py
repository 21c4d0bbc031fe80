"""`manage.py reconcile` finds each way in which two places can part, and nothing where all is well."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core import months
from core import valkey as names
from inference.quota.ledger_drain import drain_usage
from metering.models import Invoice, UsageDaily, UsageEvent
from tests.inference.quota.builders import begin, end

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def settled(gateway, known):
    """Two settled requests of 12 tokens each."""
    for name in ("r1", "r2"):
        await end(gateway, await begin(gateway, known, name), prompt=7, completion=5)
    return known


def reconcile() -> str:
    out = StringIO()
    try:
        call_command("reconcile", stdout=out)
    except CommandError as error:
        return out.getvalue() + str(error)
    return out.getvalue()


def test_all_agree_even_while_events_are_on_their_way(settled):
    assert reconcile() == f"No mismatches for {months.current()}.\n"


def test_counters_that_part_from_the_ledger_are_named_and_can_be_made_anew(settled, valkey, acme):
    valkey.hincrby(names.account_key(acme.pk, months.current()), "used", 5)
    assert "acme: Valkey 29 tokens" in reconcile()
    call_command("rebuild_counters", "acme", stdout=StringIO())
    assert reconcile().startswith("No mismatches")


def test_an_event_that_parts_from_its_ledger_entry_is_named(settled, valkey):
    drain_usage(valkey, "test")
    UsageEvent.objects.filter(request_id="r2").update(cost_nanousd=1)
    found = reconcile()
    assert "acme: ledger 24 tokens" in found
    assert found.splitlines()[0].endswith(": r2")


def test_days_and_invoices_are_compared_too(settled, valkey, acme):
    drain_usage(valkey, "test")
    UsageDaily.objects.update(completion_tokens=1)
    Invoice.objects.create(tenant=acme, period=months.current(), plan="Free v1", total_nanousd=7)
    found = reconcile()
    assert "days 15 and" in found
    assert f"acme: Draft for {months.current()} is 7, its lines 0" in found


def test_a_month_and_a_workspace_that_do_not_exist_are_refused(db):
    with pytest.raises(CommandError, match="is not a month"):
        call_command("reconcile", "--period", "2026-13")
    with pytest.raises(CommandError, match="No such workspace: nobody"):
        call_command("rebuild_counters", "nobody")
