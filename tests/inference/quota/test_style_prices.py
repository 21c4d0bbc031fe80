"""A price of its own, from the price book through admission and settlement to the ledger and the invoice."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.workspaces import playground_key
from adapters.catalog import price_changes
from adapters.catalog.terms import Terms
from adapters.models import BaseModel, Engine, Style
from adapters.routing import publisher, tables
from billing.invoices import invoices
from core import months
from core import valkey as names
from inference.contract.usage import Usage
from inference.errors import QuotaExhausted
from inference.quota.admission import Caller
from inference.quota.ledger_drain import drain_usage
from metering.models import LedgerEntry, TokenPrices, UsageEvent
from metering.price_book import Entry
from metering.quota_sync.snapshot import publish_snapshot
from tests.adapters.builders import known
from tests.inference.builders import LIMITS, read_style_row, write_style
from tests.inference.quota.builders import PLENTY
from tests.profiles import examples

GENERAL = TokenPrices(LIMITS["input_nanousd"], LIMITS["cached_input_nanousd"], LIMITS["output_nanousd"])
AN_HOUR_MS = 3_600_000

amounts = st.integers(0, 10**6)
own = st.none() | st.tuples(amounts, amounts, amounts)
# From when, in milliseconds from now: some a moment ago, some in a moment, some far away.
schedules = st.lists(st.tuples(st.integers(-AN_HOUR_MS, AN_HOUR_MS) | st.integers(-3, 3), own), max_size=5)


def write_row(schedule: list[Entry]) -> None:
    """Publish the style `poetry` with prices as adapters writes them."""
    row = read_style_row("poetry")
    row.pop("prices", None)
    prices = tables._serialize_schedule(schedule)
    if prices:
        row["prices"] = prices
    write_style("poetry", row)


def entries(now_ms: int, drawn: list[tuple[int, tuple[int, int, int] | None]]) -> list[Entry]:
    schedule = []
    for offset, price in sorted(drawn, key=lambda one: one[0]):
        at = datetime.fromtimestamp((now_ms + offset) / 1000, UTC)
        schedule.append(Entry(at, price))
    return schedule


def expected(now_ms: int, schedule: list[Entry]) -> TokenPrices:
    """The prices at a moment, by the schedule itself and not by what was written of it."""
    prices = GENERAL
    for entry in schedule:
        if entry.effective_from <= datetime.fromtimestamp(now_ms / 1000, UTC):
            prices = TokenPrices(*entry.amounts) if entry.amounts else GENERAL
    return prices


def valkeys_clock_ms(store) -> int:
    seconds, microseconds = store.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


@given(drawn=schedules, prompt=st.integers(1, 90), cached=st.integers(0, 90), output=st.integers(1, 50))
@settings(max_examples=examples(150))
def test_whatever_the_schedule_the_last_price_that_has_begun_counts(
    account, valkey, data_plane, *, drawn, prompt, cached, output
):
    """Random schedules around this very moment: the price, the worst case held, and what is charged."""

    def read(field: str) -> int:
        return int(valkey.hget(names.account_key(account.tenant, account.period), field) or 0)

    account.limit(**PLENTY)
    schedule = entries(valkeys_clock_ms(valkey), drawn)
    write_row(schedule)
    before = read("spent")
    grant = data_plane.admit(account.caller, prompt=prompt, output=output)
    prices = expected(grant.admitted_ms, schedule)
    assert grant.prices == prices
    assert grant.hold_nanousd == prompt * max(prices[:2]) + output * prices.output_nanousd
    cached = min(cached, prompt)
    data_plane.settle(grant, Usage(prompt, cached, output, "stop"))
    cost = (prompt - cached) * prices[0] + cached * prices[1] + output * prices[2]
    assert read("spent") - before == cost <= grant.hold_nanousd
    assert read("reserved") == 0


async def test_a_budget_counts_the_styles_own_price(account, ask):
    account.limit(monthly_nanousd=10 * 100 + 20 * 400)
    now = datetime.now(UTC)
    dearer = (100, 25, 401)
    write_row([Entry(now - timedelta(hours=1), dearer)])
    with pytest.raises(QuotaExhausted) as refused:
        await ask()
    assert refused.value.facts["needed"] == "$0.00000902"
    write_row([Entry(now - timedelta(hours=1), dearer), Entry(now - timedelta(minutes=1), None)])
    assert (await ask()).hold_nanousd == 9000


async def test_the_base_model_may_have_a_price_of_its_own(account, ask):
    assert (await ask(model="base")).prices == GENERAL
    account.limit(base_prices="1/2/3@0")
    grant = await ask(model="base")
    assert grant.prices == TokenPrices(1, 2, 3)
    assert grant.hold_nanousd == 10 * 2 + 20 * 3
    assert (await ask()).prices == GENERAL, "a style has nothing to do with it"


@pytest.fixture
def noir(acme, valkey, settings) -> Style:
    """A style of Acme's on an engine."""
    base_model = BaseModel.objects.create(name=settings.BASE_MODEL, config={}, modules={})
    engine = Engine.objects.create(
        name="local", url="http://127.0.0.1:9", base_model=base_model, device=Engine.Device.CPU, max_loras=8,
        max_cpu_loras=64, max_lora_rank=16, max_model_len=2048,
    )  # fmt: skip
    style = known(acme, "noir", engine).style
    publisher.republish_stale()
    publisher.publish_library(acme.pk)
    publish_snapshot(acme.pk)
    valkey.hset(names.account_key(acme.pk, months.current()), "used", 0)
    valkey.hset(names.limits_key(acme.pk), mapping=PLENTY)
    return style


@pytest.mark.django_db(transaction=True)
def test_a_new_price_takes_effect_at_its_moment_and_an_open_request_keeps_its_price(
    noir, acme, data_plane, valkey, monkeypatch
):
    caller = Caller(acme.pk, playground_key(acme).pk)
    ask = partial(data_plane.admit, caller, model="noir", prompt=100, output=50)
    first = ask()
    assert first.prices == GENERAL

    monkeypatch.setattr(price_changes, "PUBLISHED_WITHIN", timedelta(0))
    begins = timezone.now() + timedelta(seconds=5)  # a slow machine asks before it, too
    price_changes.set_price(
        noir.pk, Terms(TokenPrices(7000, 9000, 11_000)), at=begins
    )  # publishes the style's row
    begins_ms = begins.timestamp() * 1000
    before, after = [], []
    while len(after) < 3:
        grant = ask()
        data_plane.settle(grant, Usage(80, 30, 20, "stop"))
        (after if grant.admitted_ms >= begins_ms else before).append(grant)
        time.sleep(0.1)
    assert before
    assert {grant.prices for grant in before} == {GENERAL}
    assert {grant.prices for grant in after} == {TokenPrices(7000, 9000, 11_000)}
    assert {grant.hold_nanousd for grant in after} == {100 * 9000 + 50 * 11_000}
    data_plane.settle(first, Usage(80, 30, 20, "stop"))
    drain_usage(valkey, "one")

    old = 50 * 100 + 30 * 25 + 20 * 400
    new = 50 * 7000 + 30 * 9000 + 20 * 11_000
    costs = sorted(UsageEvent.objects.values_list("cost_nanousd", flat=True))
    assert costs == [old] * (len(before) + 1) + [new] * 3
    ledger = LedgerEntry.objects.aggregate(total=Sum("amount_nanousd"))["total"]
    account = names.account_key(acme.pk, months.current())
    assert ledger == sum(costs) == int(valkey.hget(account, "spent"))
    assert UsageEvent.objects.get(request_id=first.request_id).cost_nanousd == old

    lines = [
        line for line in invoices.draft_invoice(acme, months.current()).lines.all() if line.kind == "usage"
    ]
    assert {line.unit_nanousd for line in lines if line.meter == "output"} == {400, 11_000}
    assert sum(line.amount_nanousd for line in lines) == ledger
