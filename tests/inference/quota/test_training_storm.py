"""Requests and trainings at once, in the manner of the quota storm: they never exceed budget or credits."""

import asyncio
from random import Random
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.workspaces import playground_key
from core import months
from core import valkey as names
from inference.errors import Limited
from inference.proxy.runtime import run_in_thread
from inference.quota.ledger_drain import drain_usage, rebuild_counters
from metering.credits import grant_credit
from metering.ledger import usage_of
from metering.models import TrainingHold
from metering.quota_sync.snapshot import publish_snapshot
from metering.quota_sync.training_holds import TrainingNotCovered, hold_training, settle_training
from metering.reconciliation import compare_credits, compare_trainings, compare_usage
from metering.trainings import charge_of, charged_nanousd, open_holds_nanousd
from tenants.models import Tenant
from tests.billing.builders import put_on
from tests.inference.builders import Account
from tests.inference.quota.builders import begin, end

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 1_000_000  # nano-USD
PROMPT, OUTPUT = 10, 50  # tokens, of which a request costs 21,000 nano-USD
TRAINED = (5, 20, 40)  # tokens, of which a training costs up to 120,000
WRITERS, REQUESTS_OF_EACH = 8, 12
TRAINERS, TRAININGS_OF_EACH = 4, 5


@pytest.fixture(params=["budget", "credits"])
def bounded(request, valkey, acme) -> Account:
    """Acme, whose budget or credits are the only limit that anybody meets."""
    rates = {"requests_per_minute": 10**6, "tokens_per_minute": 10**9, "parallel_requests": 10**4}
    is_budget = request.param == "budget"
    limits = {"monthly_tokens": 10**9, "included_tokens": 0, "max_output_tokens": OUTPUT, **rates}
    put_on(acme, overage_allowed=is_budget, **limits)
    if is_budget:
        Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=LIMIT)
    else:
        grant_credit(acme, LIMIT, source="top_up", source_id="storm", reason="", actor="")
    account = Account(valkey, acme.pk, playground_key(acme).pk, months.current())
    publish_snapshot(acme.pk)
    rebuild_counters(valkey, acme.pk, account.period)
    account.offer("poetry")
    return account


class Storm:
    """Writers and trainers of one workspace, and what they got."""

    def __init__(self, gateway, account: Account, tenant: Tenant, *, is_full: bool) -> None:
        self.gateway = gateway
        self.account = account
        self.tenant = tenant
        self.is_full = is_full  # all that is held is used: then what is taken only grows
        self.admitted = self.trained = self.refused = 0
        self.most_nanousd = 0
        self.is_over = False
        self.has_trained = asyncio.Event()  # before the requests have taken it all

    async def write(self, writer: int) -> None:
        chance = Random(f"writer {writer}")
        await self.has_trained.wait()
        for _ in range(REQUESTS_OF_EACH):
            try:
                grant = await begin(self.gateway, self.account, prompt=PROMPT, output=OUTPUT, is_exact=True)
            except Limited:
                self.refused += 1
                await asyncio.sleep(0)
                continue
            self.admitted += 1
            await asyncio.sleep(chance.random() / 10)  # others are asked while it runs
            written = OUTPUT if self.is_full else chance.randint(0, OUTPUT)
            await end(self.gateway, grant, prompt=PROMPT, completion=written)

    async def train(self, trainer: int) -> None:
        chance = Random(f"trainer {trainer}")
        for _ in range(TRAININGS_OF_EACH):
            training, most = uuid4(), chance.choice(TRAINED)
            try:
                hold = await run_in_thread(hold_training, self.tenant, training, most, timezone.now())
            except TrainingNotCovered:
                self.refused += 1
                continue
            self.trained += 1
            assert self.published_nanousd() <= LIMIT - hold.nanousd, "requests may take what is held"
            self.has_trained.set()
            used = most if self.is_full else chance.randint(0, most)
            await run_in_thread(settle_training, training, used, timezone.now())

    async def watch(self) -> None:
        """Look again and again at what is taken. What only grows can't be read too high: trainings first."""
        while not self.is_over:
            trainings = await run_in_thread(self.count_trainings)
            spent, reserved = self.account.store.hmget(
                names.account_key(self.account.tenant, self.account.period), "spent", "reserved"
            )
            taken = trainings + int(spent or 0) + int(reserved or 0)
            self.most_nanousd = max(self.most_nanousd, taken)

    def published_nanousd(self) -> int:
        """Return what admission lets requests take of the budget, or of the credits."""
        limits = names.limits_key(self.account.tenant)
        budget, credits = self.account.store.hmget(limits, "monthly_nanousd", "credits")
        if budget:
            return int(budget)
        grants = credits.split()[4:]  # after two months, and the tokens included in each
        return sum(int(grant.partition(":")[0]) for grant in grants)

    def count_trainings(self) -> int:
        """Return what confirmed holds reserve, and what those that ended were charged."""
        total = 0
        for hold in TrainingHold.objects.exclude(confirmed_at=None):
            total += hold.nanousd if hold.settled_at is None else charge_of(hold.training) or 0
        return total

    async def rage(self) -> None:
        writers = [self.write(number) for number in range(WRITERS)]
        trainers = [self.train(number) for number in range(TRAINERS)]
        watching = asyncio.create_task(self.watch())
        try:
            await asyncio.gather(*writers, *trainers)
        finally:
            self.is_over = True
            await watching


@pytest.mark.parametrize("is_full", [True, False], ids=["all-is-used", "some-is-used"])
async def test_requests_and_trainings_at_once_stay_within_what_there_is(
    gateway, bounded, acme, valkey, is_full
):
    storm = Storm(gateway, bounded, acme, is_full=is_full)
    await storm.rage()
    assert min(storm.admitted, storm.trained) > 0
    if is_full:
        assert storm.refused > 0
        assert LIMIT // 2 < storm.most_nanousd <= LIMIT
    await run_in_thread(expect_exact_books, acme, bounded, valkey)


def expect_exact_books(acme: Tenant, account: Account, valkey) -> None:
    drain_usage(valkey, "storm")
    used = usage_of(acme.pk, account.period).nanousd
    trained = charged_nanousd(acme.pk, account.period)
    assert 0 < used + trained <= LIMIT
    assert used == int(valkey.hget(names.account_key(acme.pk, account.period), "spent"))
    assert open_holds_nanousd(acme.pk) == 0
    assert not TrainingHold.objects.filter(confirmed_at=None).exists()
    assert compare_trainings(account.period) == []
    assert compare_credits(account.period) == []
    assert compare_usage(account.period) == []
