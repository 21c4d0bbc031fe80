from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from core import months
from metering.ledger import record_events, usage_of
from metering.models import Invoice, LedgerEntry, UsageDaily, UsageEvent
from metering.plans import limits_of
from metering.price_book import cost_nanousd
from tenants.models import ApiKey
from tests.profiles import examples
from tests.racing import race
from tests.tenants.builders import issue_key

# What `used` must equal: the ledger itself, which would be slow to read for millions of requests.
LEDGER_BY_KEY = """
    SELECT event.key_id, sum(entry.tokens)::bigint, sum(entry.amount_nanousd)::bigint
    FROM metering_ledgerentry AS entry
    JOIN metering_usageevent AS event ON event.request_id = entry.source_id
    WHERE entry.tenant_id = %s AND entry.period = %s AND entry.kind = 'usage'
    GROUP BY event.key_id
"""
FIRST, LAST = datetime(2026, 1, 1), datetime(2026, 3, 1)  # noqa: DTZ001 (Hypothesis adds the zone)
MANY = 2000
TOKENS = st.integers(0, 10**6)
FACTS = st.fixed_dictionaries(
    {
        "style_name": st.sampled_from(["poetry", "legal", "base"]),
        "admitted_at": st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
        "prompt_tokens": st.just(0) | TOKENS,  # nothing at all: it failed before its first token
        "completion_tokens": st.just(0) | TOKENS,
    }
)
A_MOMENT = timedelta(microseconds=1)
MONTHS = [datetime(2026, number, 1, tzinfo=UTC) for number in (1, 2, 3, 12)]
EDGES = st.sampled_from([edge + step for edge in MONTHS for step in (-A_MOMENT, 0 * A_MOMENT, A_MOMENT)])
REQUESTS = st.tuples(st.integers(0, 9), FACTS)  # so few numbers that requests come again


def month_of(number: int) -> str:
    """Return the month of a request: that of its hold, whatever is told of the request again."""
    return months.period_of(MONTHS[number % len(MONTHS)])


@given(
    batches=st.lists(st.lists(REQUESTS, max_size=6), max_size=5),
    invoiced=st.lists(st.sampled_from([None, 0, 1, 2]), min_size=5, max_size=5),
)
@settings(max_examples=examples(40))
def test_ledger_days_and_used_are_the_sum_of_the_events_however_often_they_come(
    acme, event, batches, invoiced
):
    """Also where a month got its invoice between two batches, so that the rest counts in the present one."""
    with transaction.atomic():
        new = 0
        for batch, month in zip(batches, invoiced, strict=False):
            if month is not None:
                facts = {"plan": "Free v1", "total_nanousd": 0}
                Invoice.objects.get_or_create(tenant=acme, period=month_of(month), defaults=facts)
            events = [
                event(acme, request_id=f"req_{number}", period=month_of(number), **facts)
                for number, facts in batch
            ]
            new += record_events(events)
        assert new == UsageEvent.objects.count() == len({number for batch in batches for number, _ in batch})
        billed = UsageEvent.objects.exclude(prompt_tokens=0, completion_tokens=0)
        entries = LedgerEntry.objects.values_list("source_id", "period")
        assert set(billed.values_list("request_id", "period")) == set(entries)
        assert _sum(LedgerEntry, "amount_nanousd") == _sum(UsageEvent, "cost_nanousd")
        assert _sum(UsageDaily, "cost_nanousd") == _sum(UsageEvent, "cost_nanousd")
        assert _sum(UsageDaily, "requests") == billed.count() == LedgerEntry.objects.count()
        periods = [
            usage_of(acme.pk, period) for period in set(UsageEvent.objects.values_list("period", flat=True))
        ]
        assert sum(one.nanousd for one in periods) == _sum(UsageEvent, "cost_nanousd")
        written = _sum(UsageEvent, "prompt_tokens") + _sum(UsageEvent, "completion_tokens")
        assert sum(one.tokens for one in periods) == written == _sum(LedgerEntry, "tokens")
        transaction.set_rollback(True)


@given(batches=st.lists(st.lists(st.tuples(st.integers(0, 9), FACTS, EDGES, st.integers(0, 2))), max_size=4))
@settings(max_examples=examples(40))
def test_what_a_period_has_used_is_its_ledger_also_at_the_edges_of_months(acme, charlies, event, batches):
    """The period is the gateway's word: its clock may differ from the one that dated the admission."""
    with transaction.atomic():
        callers = [
            (acme, issue_key(acme, name="laptop", by=None)[0]),
            (acme, None),
            (charlies, None),
        ]
        for batch in batches:
            record_events(
                event(
                    callers[caller][0], callers[caller][1], **facts | {"admitted_at": edge},
                    request_id=f"req_{number}", period=month_of(number),
                )
                for number, facts, edge, caller in batch
            )  # fmt: skip
        for tenant in (acme, charlies):
            for period in map(months.period_of, [*MONTHS, datetime(2025, 12, 1, tzinfo=UTC)]):
                ledger, one = _ledger(tenant, period), usage_of(tenant.pk, period)
                assert one.tokens_by_key == {key: tokens for key, tokens, _ in ledger}
                assert one.nanousd_by_key == {key: nanousd for key, _, nanousd in ledger}
                assert one.tokens == sum(tokens for _, tokens, _ in ledger)
                assert one.nanousd == sum(nanousd for _, _, nanousd in ledger)
        transaction.set_rollback(True)


def test_a_request_that_failed_before_its_first_token_is_known_but_costs_nothing(acme, event):
    failed = event(acme, prompt_tokens=0, completion_tokens=0, outcome="upstream_error")
    assert [record_events([failed]), record_events([failed])] == [1, 0]
    assert UsageEvent.objects.get().outcome == "upstream_error"
    assert not LedgerEntry.objects.exists()
    assert not UsageDaily.objects.exists()
    assert ApiKey.objects.get().last_used_at == failed.admitted_at


def test_used_reads_days_and_no_event(acme, event, django_assert_num_queries):
    record_events([event(acme) for _ in range(3)])
    with django_assert_num_queries(1) as asked:
        assert usage_of(acme.pk, "2026-11").tokens == 390
    assert "metering_usageevent" not in asked[0]["sql"]


@pytest.mark.django_db(transaction=True)
def test_two_recorders_at_once_book_every_request_once(acme, event):
    other, _ = issue_key(acme, name="laptop", by=None)
    patterns = [event(acme), event(acme, key=other)]
    batch = [replace(patterns[number % 2], request_id=f"req_{number:05}") for number in range(MANY)]
    # Overlapping, in opposite orders, and each event twice: what makes recorders wait for each other.
    parts = (batch[: MANY * 3 // 4], batch[: MANY // 4 : -1] * 2, batch * 2)
    counts = race(*[partial(record_events, part) for part in parts])
    assert sum(counts) == MANY == UsageEvent.objects.count() == LedgerEntry.objects.count()
    assert _sum(LedgerEntry, "amount_nanousd") == sum(one.cost_nanousd for one in batch)
    assert _sum(UsageDaily, "requests") == MANY
    each = MANY // 2 * 130
    assert usage_of(acme.pk, "2026-11").tokens_by_key == {patterns[0].key_id: each, other.pk: each}


def test_every_fact_of_an_event_is_kept(acme, event):
    one = event(
        acme, style=None, version_number=None, admitted_at=datetime(2026, 11, 30, 23, 59, 59, 999_999, UTC)
    )
    record_events([one])
    row = UsageEvent.objects.get()
    facts = vars(one)
    assert {name: getattr(row, name) for name in facts} == facts
    assert str(UsageDaily.objects.get().day) == "2026-11-30"


@pytest.mark.django_db(transaction=True)  # foreign keys are checked on commit
def test_a_batch_with_an_unknown_tenant_is_recorded_not_at_all(acme, event):
    with pytest.raises(IntegrityError):
        record_events([event(acme), event(acme, tenant_id=uuid4())])
    assert not UsageEvent.objects.exists()


def test_a_keys_last_use_only_moves_forward(acme, event):
    later = event(acme)
    earlier = event(acme, admitted_at=later.admitted_at - timedelta(hours=1))
    for one in (later, earlier):
        record_events([one])
    assert ApiKey.objects.get().last_used_at == later.admitted_at


@pytest.mark.parametrize(
    "change",
    [
        lambda: LedgerEntry.objects.update(amount_nanousd=0),
        lambda: LedgerEntry.objects.all().delete(),
        lambda: LedgerEntry.objects.get().save(),
    ],
)
def test_the_database_refuses_to_change_the_ledger(acme, event, change):
    record_events([event(acme)])
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        change()
    assert LedgerEntry.objects.get().amount_nanousd == 80 * 100 + 20 * 25 + 30 * 400


@given(prompt=TOKENS, share=st.floats(0, 1), completion=TOKENS)
def test_a_price_is_exact_and_caching_never_costs_more(acme, prompt, share, completion):
    prices = limits_of(acme, datetime(2026, 11, 1, tzinfo=UTC)).prices
    cached = int(prompt * share)
    cost = cost_nanousd(prices, prompt, cached, completion)
    assert cost == 100 * prompt - 75 * cached + 400 * completion
    assert cost <= cost_nanousd(prices, prompt, 0, completion)
    with pytest.raises(ValueError, match="impossible"):
        cost_nanousd(prices, prompt, prompt + 1, completion)


def _sum(model, field):
    return model.objects.aggregate(sum=Sum(field))["sum"] or 0


def _ledger(tenant, period):
    with connection.cursor() as cursor:
        cursor.execute(LEDGER_BY_KEY, [tenant.pk, period])
        return cursor.fetchall()
