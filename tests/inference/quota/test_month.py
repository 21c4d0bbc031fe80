"""Two months of twenty workspaces with a moved clock, against books that this file keeps by itself.

Requests go through the real scripts in Valkey, whose clock is replaced, and through the real drain. What is
expected is computed from raw usage events and from what the simulation did, without the product's pricing.
"""

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from itertools import count
from uuid import UUID, uuid4

import pytest
import redis
from django.core.management import call_command
from django.db import connection

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import create_tenant, playground_key
from adapters.routing import tables
from billing import author_shares, counters, plan_changes
from billing import tasks as billing_tasks
from billing.invoices import credit_notes, invoices
from billing.models import PaymentAccount
from billing.payments import auto_top_up, payments
from core import months
from core import valkey as names
from inference import errors, tasks
from inference.contract.route import RouteTables
from inference.contract.usage import Usage
from inference.quota import ledger_drain, month_turn, scripts, settlement
from inference.quota.admission import CacheMiss, Caller, Grant
from inference.quota.settlement import sweep_expired_holds
from metering import credits, partitions, price_book
from metering import tasks as metering_tasks
from metering.models import (
    CreditBurn,
    CreditGrant,
    Invoice,
    LedgerEntry,
    Plan,
    PlanVersion,
    Price,
    PriceBook,
    StylePrice,
    UsageEvent,
)
from metering.quota_sync.snapshot import publish_snapshot
from tenants.models import Tenant, User
from tests.fakes import fake_stripe
from tests.inference.builders import (
    BASE_PLACE,
    STYLES,
    VERSIONS,
    open_tables,
    place,
    publish_names,
    read_style_row,
    target,
    version_row,
    write_engines,
    write_style,
    write_version,
)
from tests.profiles import examples
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db(transaction=True)

APRIL, MAY = "2031-04", "2031-05"  # in the future: Valkey's own clock would let the past expire
BEGIN, MIDDLE, TURN = (datetime(2031, *day, tzinfo=UTC) for day in ((4, 1), (4, 16), (5, 1)))
JUNE = datetime(2031, 6, 1, tzinfo=UTC)
USD = 10**9
CENT = 10**7
NEVER = "9999-12"
AUTHOR_PERCENT = {BEGIN: 30, MIDDLE: 45}
GENERAL = {BEGIN: (400_000, 100_000, 1_600_000), MIDDLE: (500_000, 125_001, 1_600_003)}
NOIR = {BEGIN: (700_000, 200_000, 2_500_001), MIDDLE: (650_001, 200_000, 2_900_000)}
STYLE_MONTH = {BEGIN - timedelta(days=9): 3 * USD + 1, MIDDLE: 4 * USD}
PLANS = {
    "free": {"monthly_fee_nanousd": 0, "included_tokens": 1500, "monthly_tokens": 1500},
    "writer": {"monthly_fee_nanousd": 12 * USD, "included_tokens": 2000, "monthly_tokens": 10**6},
    "studio": {
        "monthly_fee_nanousd": 48 * USD,
        "included_tokens": 3000,
        "monthly_tokens": 10**6,
        "overage_allowed": True,
    },
}
# Who is on which plan when April begins.
FIRST_PLANS = ["studio", *["free"] * 3, *["writer"] * 5, *["studio"] * 3, "free", "writer", "studio"]
FIRST_PLANS += ["studio", "studio", "writer", "studio", "writer"]
AUTHOR, CREDITED, TOPPED_UP, UPGRADED, UP_AND_DOWN, DOWN = 0, (4, 5, 6), (7, 8), 12, 13, 14
KEPT, OWES_MORE, HOSTING, LATE, IDLE = 15, 16, 17, 18, 19


# At which hours periodic tasks run; really it is every minute.
CHORES_AT = (6, 12, 18, 23) if examples(100) >= 100 else (18, 23)


class Crash(BaseException):
    """Like a SIGKILL: nothing of ours catches it."""


@dataclass
class Book:
    """What the simulation knows of one workspace."""

    tenant: Tenant
    caller: Caller
    plans: list[tuple[datetime, PlanVersion]] = field(default_factory=list)
    grants: list[list] = field(default_factory=list)  # priority, last month, age, first month, what is left
    adjusted: Counter = field(default_factory=Counter)  # month → nano-USD
    hosted: Counter = field(default_factory=Counter)  # month → styles


class Clock:
    """The time of Python, of Valkey's scripts and of its clients. It only moves forward."""

    def __init__(self, store: redis.Redis, now: datetime) -> None:
        self.store = store
        self.move(now)

    def move(self, now: datetime) -> None:
        self.now = now
        seconds, fraction = divmod(now.timestamp(), 1)
        self.valkeys = (int(seconds), int(fraction * 10**6))
        self.store.hset("test:clock", mapping=dict(zip(("s", "us"), self.valkeys, strict=True)))


def with_moved_clock(script: str) -> str:
    """Return a script that reads the test's clock instead of Valkey's."""
    moved, replaced = re.subn(
        r"(redis\.)?call\('TIME'\)", "redis.call('HMGET', 'test:clock', 's', 'us')", script
    )
    assert replaced == 1
    return moved


@pytest.fixture
def clock(valkey, monkeypatch) -> Clock:
    clock = Clock(valkey, BEGIN - timedelta(days=3))
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    monkeypatch.setattr(months, "current", lambda: months.period_of(clock.now))
    monkeypatch.setattr(redis.Redis, "time", lambda _: clock.valkeys)
    monkeypatch.setattr(settlement, "SETTLEMENT", with_moved_clock(scripts.SETTLEMENT))
    monkeypatch.setattr(settlement, "EXTEND_LEASE", with_moved_clock(scripts.EXTEND_LEASE))
    # What a dead drain had read is taken over only when the test says so, however slow the machine is.
    monkeypatch.setattr(month_turn, "MAX_RUN_S", 600)  # likewise
    patient = partial(ledger_drain.drain_usage, take_over_after_ms=10**9)
    monkeypatch.setattr(ledger_drain, "drain_usage", patient)
    monkeypatch.setattr(
        tasks.current_app, "send_task", lambda _, args, **__: billing_tasks.draft_invoices(*args)
    )
    monkeypatch.setattr(billing_tasks, "BATCH_SIZE", 6)  # several for twenty workspaces
    for batch in (billing_tasks.draft_batch, billing_tasks.finalize_batch):
        monkeypatch.setattr(batch, "apply_async", lambda args, batch=batch, **_: batch(*args))
    return clock


@pytest.fixture
def stripe(settings, monkeypatch):
    monkeypatch.setattr("billing.payments.stripe_provider.RETRIES", 0)
    with fake_stripe.running() as fake:
        settings.STRIPE_SECRET_KEY = "sk_test"
        settings.STRIPE_API_BASE = fake.url
        yield fake


@pytest.fixture
def admission() -> str:
    return with_moved_clock(scripts.ADMISSION)


@pytest.fixture
def world(clock, stripe, transactional_db, data_plane):
    metering_tasks.make_usage_partitions()
    yield World(clock, stripe, data_plane)
    with connection.cursor() as cursor:
        for period in ("2031-03", APRIL, MAY, "2031-06", "2031-07"):
            cursor.execute(f"DROP TABLE IF EXISTS {partitions.partition_name(period)}")


class World:
    """Twenty workspaces, the data plane, and the books beside them."""

    def __init__(self, clock, stripe, data_plane) -> None:
        self.clock, self.stripe, self.data_plane = clock, stripe, data_plane
        self.store = clock.store
        self.random = random.Random(14)
        self.numbers = count(1)
        self.served: dict[str, tuple] = {}
        self.refused: Counter = Counter()
        self.open: list[tuple[datetime, Grant, Usage, str]] = []
        self.store.set(names.epoch_key(), "whole")
        write_engines(place("engine-1", "http://127.0.0.1:1"), BASE_PLACE)
        self._lay_plans()
        self.books = [self._settle_in(number, code) for number, code in enumerate(FIRST_PLANS)]
        self._lay_prices()
        self.tables = RouteTables()
        self.tables.replace(
            self.store.hgetall(names.route_versions_key()), self.store.hgetall(names.route_engines_key())
        )

    # what people and operators do

    def _lay_plans(self) -> None:
        limits = {"requests_per_minute": 10**5, "tokens_per_minute": 10**7, "parallel_requests": 100}
        usual = {"max_output_tokens": 500, "private_styles": 9, "effective_from": self.clock.now, **limits}
        self.versions = {}
        for code, terms in PLANS.items():
            plan = Plan.objects.get(code=code)
            Plan.objects.filter(code=code).update(is_offered=True)
            number = plan.versions.latest("number").number + 1
            self.versions[code] = PlanVersion.objects.create(plan=plan, number=number, **usual | terms)

    def _settle_in(self, number: int, code: str) -> Book:
        user = User.objects.create_user(f"owner{number}@example.org")
        tenant = create_tenant(user, name=f"Workspace {number}")
        tenant.unpaid_cap_nanousd = 10**15  # operators know that it pays
        tenant.save(update_fields=["unpaid_cap_nanousd"])
        book = Book(tenant, Caller(tenant.pk, playground_key(tenant).pk))
        self.clock.move(self.clock.now + timedelta(seconds=1))
        subscribe_tenant(tenant, self.versions[code], at=self.clock.now)
        book.plans.append((self.clock.now, self.versions[code]))
        return book

    def _lay_prices(self) -> None:
        columns = ("input_nanousd", "cached_input_nanousd", "output_nanousd")
        author = self.books[AUTHOR].tenant
        for begins, general in GENERAL.items():
            at = begins if begins != BEGIN else BEGIN - timedelta(days=9)
            book = PriceBook.objects.create(effective_from=at, style_month_nanousd=STYLE_MONTH[at])
            Price.objects.create(book=book, **dict(zip(columns, general, strict=True)))
            own = dict(zip(columns, NOIR[begins], strict=True))
            StylePrice.objects.create(
                style=UUID(STYLES["noir"]), style_name="noir", effective_from=at, author=author,
                author_percent=AUTHOR_PERCENT[begins], **own,
            )  # fmt: skip
        schedule = price_book.schedules_of([UUID(STYLES["noir"])], self.clock.now)
        for name in ("poetry", "noir"):
            places = [place("engine-1", "http://127.0.0.1:1")]
            write_version(version_row(name, VERSIONS[name, 3], places=places))
        prices = tables._serialize_schedule(schedule[UUID(STYLES["noir"])])
        write_style("noir", read_style_row("noir") | {"prices": prices})

    def credit(self, number: int, amount: int, *, priority: int = 100, last: str = "") -> None:
        book = self.books[number]
        credits.grant_credit(
            book.tenant, amount, source="promotion", source_id=str(uuid4()), reason="Try it", actor="op",
            priority=priority, last_period=last,
        )  # fmt: skip
        self._note_grant(book, amount, priority=priority, last=last)

    def _note_grant(self, book: Book, amount: int, *, priority: int = 100, last: str = "") -> None:
        period = months.period_of(self.clock.now)
        book.grants.append([priority, last or NEVER, next(self.numbers), period, amount])

    def change_plan(self, number: int, code: str) -> None:
        book = self.books[number]
        _, subscription = plan_changes.change_plan(code, by=owner_of(book.tenant), now=self.clock.now)
        book.plans.append((subscription.starts_at, self.versions[code]))

    def adjust(self, number: int, amount: int) -> None:
        book = self.books[number]
        credit_notes.adjust_month(book.tenant, amount, reason="As agreed", actor="op")
        book.adjusted[months.period_of(self.clock.now)] += amount

    def host(self, number: int, styles: int) -> None:
        book = self.books[number]
        hosted = [price_book.Hosted(book.tenant.pk, uuid4(), f"style-{n}") for n in range(styles)]
        for _ in range(2):  # as every ten minutes
            price_book.record_hosted(hosted, months.period_of(self.clock.now))
        book.hosted[months.period_of(self.clock.now)] += styles

    def save_card(self, number: int) -> None:
        owner = owner_of(self.books[number].tenant)
        payment = payments.begin_top_up(5 * USD, by=owner, payment_id=uuid4())
        self.stripe.pay(payment.reference)
        payments.refresh_payment(payment)
        auto_top_up.set_auto_top_up(threshold_nanousd=49 * USD // 10, amount_nanousd=5 * USD, by=owner)
        self._note_grant(self.books[number], 5 * USD)

    def top_up(self) -> None:
        before = {intent["id"] for intent in self.stripe.made("payment_intent")}
        auto_top_up.top_up_due(self.clock.now)
        payments.sweep_payments(self.clock.now)
        customers = dict(PaymentAccount.objects.values_list("customer_id", "tenant"))
        by_tenant = {book.tenant.pk: book for book in self.books}
        for intent in self.stripe.made("payment_intent"):
            if intent["id"] not in before:
                self._note_grant(by_tenant[customers[intent["customer"]]], intent["amount"] * CENT)

    # requests

    def ask(self, number: int, model: str, prompt: int, output: int) -> Grant | None:
        """Admit a request as a gateway does; None if a limit refuses it."""
        book = self.books[number]
        self._expire(book)
        for _ in range(6):
            try:
                return self.data_plane.admit(
                    book.caller, tables=self.tables, model=model, prompt=prompt, output=output, is_exact=True
                )
            except CacheMiss:
                self._warm(book)
            except errors.Limited as error:
                self.refused[type(error).__name__] += 1
                return None
        raise AssertionError("Valkey stays cold")

    def _expire(self, book: Book) -> None:
        """Let limits go that end by the moved clock, as Valkey does by its own."""
        key = names.limits_key(book.tenant.pk)
        ends_ms = self.store.pexpiretime(key)
        if 0 < ends_ms <= self.clock.now.timestamp() * 1000:
            self.store.delete(key)

    def _warm(self, book: Book) -> None:
        publish_snapshot(book.tenant.pk)
        style_names = {name: target(name, VERSIONS[name, 3]) for name in ("poetry", "noir")}
        open_tables()
        publish_names(book.tenant.pk, style_names)
        period = months.current()
        for month in (months.before(period), period):
            ledger_drain.rebuild_counters(self.store, book.tenant.pk, month)

    def request(self, number: int, kind: str) -> None:
        """Begin a request. Its end is settled later, or never, and then it is swept."""
        model = self.random.choice(["poetry", "noir", "poetry"])
        prompt, output = self.random.randint(20, 120), self.random.randint(10, 80)
        grant = self.ask(number, model, prompt, output)
        if grant is None:
            return
        cached, written = self.random.randint(0, prompt), self.random.randint(1, output)
        usage = Usage(prompt, cached, written, "stop")
        if kind == "engine fails":
            usage = Usage()
        self._note_request(grant, model, usage)
        ends = self.clock.now + timedelta(seconds=self.random.randint(1, 25))
        outcome = {"hang-up": "client_disconnect", "engine fails": "upstream_error"}.get(kind, "complete")
        if kind == "gateway dies":
            self.data_plane.extend(grant, usage)  # its last heartbeat
            return
        self.open.append((ends, grant, usage, outcome))

    def _note_request(self, grant: Grant, model: str, usage: Usage) -> None:
        at = datetime.fromtimestamp(grant.admitted_ms / 1000, UTC)
        schedule = NOIR if model == "noir" else GENERAL
        prices = schedule[MIDDLE if at >= MIDDLE else BEGIN]
        tenant_id = grant.caller.tenant_id
        counts = (usage.prompt, usage.cached, usage.completion)
        self.served[grant.request_id] = (tenant_id, grant.period, model, *counts, *prices)

    def settle_until(self, now: datetime) -> None:
        due = [one for one in self.open if one[0] <= now]
        for one in sorted(due, key=lambda one: one[0]):
            self.open.remove(one)
            _, grant, usage, outcome = one
            self.data_plane.settle(grant, usage, outcome)

    def day(self, day: datetime, numbers: list[int], requests: int) -> None:
        """Let workspaces write for a day, and the periodic tasks run a few times."""
        kinds = ["complete"] * 7 + ["hang-up", "engine fails", "gateway dies"]
        moments = []
        for number in numbers:
            for _ in range(self.random.randint(0, requests)):
                at = day + timedelta(seconds=self.random.randint(0, 86_000))
                moments.append((at, number, self.random.choice(kinds)))
        chores = [(day + timedelta(hours=hour), -1, "") for hour in CHORES_AT]
        for at, number, kind in sorted([*moments, *chores]):
            self.settle_until(at)
            self.clock.move(at)
            if number < 0:
                self.chores()
                if at.hour == 18:
                    billing_tasks.check_thresholds()
            else:
                self.request(number, kind)

    def chores(self) -> None:
        sweep_expired_holds(self.store)
        ledger_drain.drain_usage(self.store, "drain")
        self.top_up()
        month_turn.prepare_changes(self.store, self.clock.now)

    # the books

    def check_events(self) -> None:
        """Every request that was served is one usage event, with the prices of its moment."""
        columns = ("tenant_id", "period", "style_name", "prompt_tokens", "cached_tokens", "completion_tokens")
        prices = ("input_nanousd", "cached_input_nanousd", "output_nanousd")
        events = {row[0]: row[1:] for row in UsageEvent.objects.values_list("request_id", *columns, *prices)}
        assert events == self.served

    def usage_of(self, book: Book, period: str) -> tuple[int, int]:
        """Return (nano-USD, tokens) of a month's raw events."""
        cost = tokens = 0
        for event in UsageEvent.objects.filter(tenant=book.tenant, period=period):
            fresh = event.prompt_tokens - event.cached_tokens
            cost += fresh * event.input_nanousd + event.cached_tokens * event.cached_input_nanousd
            cost += event.completion_tokens * event.output_nanousd
            tokens += event.prompt_tokens + event.completion_tokens
        return cost, tokens

    def plans_by_day(self, book: Book, period: str) -> list[PlanVersion]:
        """Return the dearest plan that held at some moment of each day of a month."""
        begins, days = (BEGIN, 30) if period == APRIL else (TURN, 31)
        dearest = []
        for number in range(days):
            starts, ends = begins + timedelta(days=number), begins + timedelta(days=number + 1)
            holding = []
            for (at, version), (until, _) in zip(book.plans, [*book.plans[1:], (JUNE, None)], strict=True):
                if at < ends and until > starts:
                    holding.append(version)
            dearest.append(max(holding, key=lambda version: version.monthly_fee_nanousd))
        return dearest

    def fees_of(self, book: Book, period: str) -> int:
        """Return each plan's fee for its days, in whole cents that are rounded down."""
        by_day = self.plans_by_day(book, period)
        days = Counter(version.plan_id for version in by_day)
        fees = {version.plan_id: version.monthly_fee_nanousd for version in by_day}
        return sum(fees[code] * count // len(by_day) // CENT * CENT for code, count in days.items())

    def included_of(self, book: Book, period: str) -> int:
        """Return the included tokens: the mean of the days, none of which includes less than one before."""
        by_day = [version.included_tokens for version in self.plans_by_day(book, period)]
        return sum(max(by_day[: number + 1]) for number in range(len(by_day))) // len(by_day)

    def expected_total(self, book: Book, period: str) -> int:
        """Return what a month's invoice asks for; burn credits and keep what is left over."""
        owed = self.fees_of(book, period) + book.hosted[period] * STYLE_MONTH[
            BEGIN - timedelta(days=9) if period == APRIL else MIDDLE
        ]  # fmt: skip
        cost, tokens = self.usage_of(book, period)
        included = self.included_of(book, period)
        covered = cost if tokens <= included else cost * included // tokens
        charge = cost - covered
        owed += charge - self._burn(book, period, charge)
        owed += book.adjusted[period]
        total = (owed + CENT // 2) // CENT * CENT
        for grant in book.grants:
            if grant[1] <= period:
                grant[4] = 0  # expired
        if total < 0:
            book.grants.append([100, NEVER, next(self.numbers), months.period_of(self.clock.now), -total])
        return max(total, 0)

    def _burn(self, book: Book, period: str, charge: int) -> int:
        burned = 0
        for grant in sorted(book.grants):
            if grant[3] <= period <= grant[1] and charge > burned:
                part = min(grant[4], charge - burned)
                grant[4] -= part
                burned += part
        return burned

    def expected_shares(self, period: str) -> int:
        """Return what the author earned: of each workspace's shares of a day the part that was paid."""
        shares: Counter = Counter()
        events = UsageEvent.objects.filter(style_name="noir", period=period)
        for event in events.exclude(tenant=self.books[AUTHOR].tenant):
            percent = AUTHOR_PERCENT[MIDDLE if event.admitted_at >= MIDDLE else BEGIN]
            day = max(event.admitted_at, TURN) if period == MAY else event.admitted_at  # of late usage
            shares[event.tenant_id, day.date()] += event.cost_nanousd * percent // 100
        books = {book.tenant.pk: book for book in self.books}
        earned = 0
        unpaid = Invoice.objects.filter(period=period).exclude(state="paid").values_list("tenant", flat=True)
        for (tenant_id, _), share in shares.items():
            if tenant_id in unpaid:
                continue
            cost, tokens = self.usage_of(books[tenant_id], period)
            included = self.included_of(books[tenant_id], period)
            covered = cost if tokens <= included else cost * included // tokens
            gifts = CreditBurn.objects.filter(
                grant__tenant=tenant_id, grant__source="promotion", period=period, invoice__isnull=False
            )
            paid = cost - covered - sum(gifts.values_list("amount_nanousd", flat=True))
            earned += share * max(0, paid) // cost
        return earned

    def pay_invoices(self, period: str) -> None:
        for invoice in Invoice.objects.filter(period=period, state="finalized"):
            invoices.pay_invoice(invoice, actor="op", reason="Transfer")

    def check_shares(self, *periods: str) -> None:
        """The author has what paid months earned, late usage too; the last grant is new in the books."""
        author = self.books[AUTHOR]
        shares = CreditGrant.objects.filter(source="author_share", tenant=author.tenant).order_by("pk")
        amounts = list(shares.values_list("amount_nanousd", flat=True))
        assert len(amounts) == len(periods)
        assert sum(amounts) == sum(self.expected_shares(period) for period in periods) > 0
        self._note_grant(author, amounts[-1])

    def check_invoices(self, period: str, previewed: dict[UUID, int]) -> None:
        for number, book in enumerate(self.books):
            expected = self.expected_total(book, period)
            invoice = Invoice.objects.filter(tenant=book.tenant, period=period).first()
            total = invoice.total_nanousd if invoice else 0
            assert total == expected, f"workspace {number}, {period}"
            assert previewed[book.tenant.pk] == total, f"the preview of workspace {number}, {period}"
            left = sum(grant[4] for grant in book.grants)
            assert self._left_by_rows(book) == left, f"credits of workspace {number} after {period}"

    def _left_by_rows(self, book: Book) -> int:
        granted = sum(CreditGrant.objects.filter(tenant=book.tenant).values_list("amount_nanousd", flat=True))
        burned = CreditBurn.objects.filter(grant__tenant=book.tenant).values_list("amount_nanousd", flat=True)
        return granted - sum(burned)

    def preview(self, period: str) -> dict[UUID, int]:
        return {
            book.tenant.pk: invoices.preview_invoice(book.tenant, period).total_nanousd for book in self.books
        }


def simulate_april(world: World) -> None:
    world.clock.move(BEGIN)
    writing = [number for number in range(20) if number != IDLE] + [*TOPPED_UP] * 3  # these write more
    for number in TOPPED_UP:
        world.save_card(number)
    world.credit(4, 2 * USD + 7, last=APRIL)
    world.credit(4, USD // 2, priority=5)
    world.credit(5, 3 * USD + 1, last=MAY)
    world.credit(6, USD // 3, priority=200)
    world.host(HOSTING, 3)
    for day in range(30):
        at = BEGIN + timedelta(days=day)
        world.clock.move(max(world.clock.now, at))
        if day == 5:
            world.change_plan(DOWN, "writer")  # from May on
        if day == 10:
            world.change_plan(UPGRADED, "writer")
            world.credit(5, USD + 3, priority=1, last=APRIL)
        if day == 15:
            world.change_plan(UP_AND_DOWN, "studio")
        if day == 20:
            world.change_plan(UP_AND_DOWN, "free")
            world.adjust(KEPT, -500 * USD - 3)
            world.adjust(OWES_MORE, 7 * USD + 123)
            world.credit(6, 50 * USD, last=MAY)
        if day == 29:
            world.credit(1, 9 * USD, last=APRIL)  # nobody uses it: it expires
        world.day(at, writing, 3 if day % 7 else 6)


def cross_the_turn(world: World) -> None:
    """Some requests are open when the month ends; a drain dies with two events in its hands."""
    world.clock.move(TURN - timedelta(seconds=60))
    world.settle_until(world.clock.now)
    world.chores()
    for _ in range(2):
        world.request(LATE, "complete")
    world.settle_until(TURN)
    world.store.xreadgroup(ledger_drain.GROUP, "dead", {names.usage_key(): ">"})
    world.clock.move(TURN - timedelta(seconds=1))
    for number in (9, 10, 4):
        world.request(number, "complete")
    world.open = [(TURN + timedelta(minutes=2), *rest) for _, *rest in world.open]


# What closing calls, where it looks it up. Each invoice is finalized in a transaction of its own.
DRAFTING = [(invoices, "draft_month"), (credits, "expire_ended_credits")]
FINALIZING = [
    (invoices, "_book_lines"),
    (credits, "book_burns"),
    (invoices, "_take_number"),
    (invoices, "_freeze"),
    (invoices, "_record_events"),
    (credits, "expire_credits"),
]
PAYING = [(invoices, "finalize_due"), (author_shares, "pay_due")]


def crash_each(monkeypatch, steps, run, *, at_call: int) -> None:
    """Run a part of closing, and crash it in each of some steps, before and after its effect."""
    for module, name in steps:
        for when in ("before", "after"):
            real, calls = getattr(module, name), count(1)

            def step(*arguments, real=real, calls=calls, when=when):
                is_now = next(calls) == at_call
                if is_now and when == "before":
                    raise Crash
                result = real(*arguments)
                if is_now:
                    raise Crash
                return result

            with monkeypatch.context() as patch:
                patch.setattr(module, name, step)
                with pytest.raises(Crash):
                    run()


def close(world: World, monkeypatch, period: str, *, crashing: bool) -> None:
    """Close a month as beat does, with a crash in each step if so wished, and once more at the end."""
    if crashing:
        crash_each(monkeypatch, DRAFTING, tasks.close_month, at_call=1)
    tasks.close_month()
    world.clock.move(world.clock.now + timedelta(hours=25))
    if crashing:
        crash_each(monkeypatch, FINALIZING, billing_tasks.finalize_invoices, at_call=2)
        crash_each(monkeypatch, PAYING, billing_tasks.finalize_invoices, at_call=1)
    for _ in range(2):
        billing_tasks.finalize_invoices()
        tasks.close_month()
    assert not Invoice.objects.filter(period=period, state="draft").exists()
    numbers = sorted(Invoice.objects.exclude(number=None).values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def reconcile(period: str) -> str:
    out = StringIO()
    call_command("reconcile", period=period, stdout=out)
    return out.getvalue()


def test_two_months_of_twenty_workspaces(world, monkeypatch):
    simulate_april(world)
    cross_the_turn(world)

    world.clock.move(TURN + timedelta(seconds=30))
    tasks.close_month()
    assert not Invoice.objects.filter(period=APRIL).exists(), "requests of April are open"
    world.clock.move(TURN + timedelta(minutes=3))
    world.settle_until(world.clock.now)
    sweep_expired_holds(world.store)
    ledger_drain.drain_usage(world.store, "drain")
    previewed = world.preview(APRIL)
    close(world, monkeypatch, APRIL, crashing=True)
    world.check_shares(APRIL)  # of invoices that credits paid
    world.check_invoices(APRIL, previewed)
    world.pay_invoices(APRIL)  # which counts with May's payout
    assert LedgerEntry.objects.filter(source_id__startswith="expiry").exists()

    # The dead drain's events come after April's invoice, so they count in May.
    assert ledger_drain.drain_usage(world.store, "drain", take_over_after_ms=0) == 2
    late = UsageEvent.objects.filter(tenant=world.books[LATE].tenant, admitted_at__lt=TURN, period=MAY)
    assert late.count() == 2
    for event in late:
        tenant_id, _, *counted = world.served[event.request_id]
        world.served[event.request_id] = (tenant_id, MAY, *counted)
    world.check_events()
    assert reconcile(APRIL) == f"No mismatches for {APRIL}.\n"
    for day in range(2, 6):
        world.day(TURN + timedelta(days=day), list(range(19)), 4)
    world.clock.move(TURN + timedelta(days=7))
    world.settle_until(world.clock.now)
    world.chores()
    world.check_events()

    world.clock.move(JUNE + timedelta(minutes=1))
    previewed = world.preview(MAY)
    close(world, monkeypatch, MAY, crashing=False)
    world.check_shares(APRIL, MAY)
    world.check_invoices(MAY, previewed)
    for period in (APRIL, MAY):
        assert reconcile(period) == f"No mismatches for {period}.\n"
        check_rebuilt(world, period)
    check_that_much_happened(world)


def check_rebuilt(world: World, period: str) -> None:
    """Counters that are made anew from the ledger are what they were."""
    for book in world.books:
        key = names.account_key(book.tenant.pk, period)
        before = {name: value for name, value in world.store.hgetall(key).items() if value != "0"}
        if not before:
            continue
        assert not [name for name in before if name.startswith(("held", "reserved"))]
        counters.rebuild_counters(world.store, book.tenant.pk, period)
        after = {name: value for name, value in world.store.hgetall(key).items() if value != "0"}
        assert after == before


def check_that_much_happened(world: World) -> None:
    """The simulation would prove nothing if its seed had left something out."""
    outcomes = Counter(UsageEvent.objects.values_list("outcome", flat=True))
    assert min(outcomes[kind] for kind in ("complete", "client_disconnect", "upstream_error", "swept")) > 20
    assert world.refused["QuotaExhausted"] > 5
    assert world.refused["CreditsExhausted"] > 5
    assert len(world.stripe.made("payment_intent")) >= len(TOPPED_UP) * 2, (
        "top-ups by hand and automatic ones"
    )
    kinds = defaultdict(int)
    for kind in Invoice.objects.values_list("lines__kind", flat=True):
        kinds[kind] += 1
    assert kinds.keys() >= {"fee", "hosting", "usage", "included", "credit", "adjustment", "rounding", "kept"}
