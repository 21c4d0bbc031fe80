"""Usage that comes after its month's invoice counts in the month in which it arrives, in Valkey too."""

import pytest

from billing import counters
from core import months
from core import valkey as names
from inference.quota import ledger_drain
from metering.ledger import usage_of
from metering.models import Invoice
from metering.reconciliation import compare_usage
from tests.inference.quota.builders import begin, end

pytestmark = pytest.mark.django_db(transaction=True)


class Crash(BaseException):
    """Like a SIGKILL: nothing of ours catches it."""


@pytest.fixture
async def settled(gateway, known):
    """Two settled requests of 12 tokens each, which no drain has seen."""
    for name in ("r1", "r2"):
        await end(gateway, await begin(gateway, known, name), prompt=7, completion=5)
    return known


@pytest.fixture
def late(settled, valkey, acme, monkeypatch):
    """The month of these requests and the next one, which it is now: the first has an invoice."""
    period = months.current()
    following = months.period_of(months.bounds(period)[1])
    # By hand: a rebuild would record what is on its way.
    valkey.hset(names.account_key(acme.pk, following), mapping={"used": 0, "spent": 0})
    Invoice.objects.create(tenant=acme, period=period, plan="Free v1", total_nanousd=0)
    monkeypatch.setattr(months, "current", lambda: following)
    return period, following


def used(valkey, tenant, period):
    return valkey.hget(names.account_key(tenant.pk, period), "used")


def test_counters_follow_usage_into_the_month_in_which_it_counts(late, valkey, acme):
    period, _ = late
    assert used(valkey, acme, period) == "24"
    assert ledger_drain.drain_usage(valkey, "test") == 2
    assert [usage_of(acme.pk, month).tokens for month in late] == [0, 24]
    for month in late:
        assert used(valkey, acme, month) is None, "the next request asks the ledger"
        ledger_drain.rebuild_counters(valkey, acme.pk, month)
        assert list(counters.compare_counters(valkey, month)) == []
        assert compare_usage(month) == []
    assert [used(valkey, acme, month) for month in late] == ["0", "24"]


def test_a_drain_that_is_killed_before_it_forgets_the_counters_is_made_good(late, valkey, acme, monkeypatch):
    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(ledger_drain, "forget_counters", crash)
        with pytest.raises(Crash):
            ledger_drain.drain_usage(valkey, "dead")
    assert ledger_drain.drain_usage(valkey, "test", take_over_after_ms=0) == 0
    for month in late:
        ledger_drain.rebuild_counters(valkey, acme.pk, month)
    assert [used(valkey, acme, month) for month in late] == ["0", "24"]
