"""Admission and metering against a plain model: random histories on the real Valkey and PostgreSQL."""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import count
from math import ceil, floor
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
import redis
from django.db import connection
from django.db.models import Count, Sum
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)  # fmt: skip

from accounts.workspaces import playground_key
from core import months
from core import valkey as names
from core.money import usd
from inference.contract.route import RouteTables
from inference.contract.usage import Usage
from inference.errors import (
    CreditsExhausted,
    InFlightFull,
    Limited,
    QuotaExhausted,
    UnpaidLimitReached,
)
from inference.quota import admission, settlement
from inference.quota.admission import Caller, Grant, InFlight, PeriodRollover, Rates, period_at
from inference.quota.ledger_drain import drain_usage, rebuild_counters
from inference.quota.settlement import sweep_expired_holds
from metering.models import LedgerEntry, TokenPrices, UsageEvent
from metering.price_book import cost_nanousd
from tests.inference.builders import (
    open_tables,
    place,
    publish_names,
    route_of,
    target,
    version_row,
    write_version,
)
from tests.profiles import examples, phases
from tests.racing import race
from tests.tenants.builders import issue_key
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)

RANDOM = settings(max_examples=examples(70), stateful_step_count=40, phases=phases())
SINGLE = settings(RANDOM, max_examples=examples(150))

PRICES = TokenPrices(input_nanousd=137, cached_input_nanousd=29, output_nanousd=411)
MAX_OUTPUT, MAX_MODEL_LEN = 50, 200
LOCAL = place("local", "http://127.0.0.1:1", max_model_len=MAX_MODEL_LEN)
VERSION = version_row("poetry", "v1", places=[LOCAL])
ROUTE = route_of("poetry", places=[LOCAL]).provenance
WAITED_FOR = "tokens_in_flight", "nanousd_in_flight", "parallel", "requests", "tokens"

# Drawn from lists: integers would be small most of the time, and almost nobody would be admitted.
picks = st.integers(0, 10**6)
prompts, outputs = st.sampled_from([1, 7, 40, 90, 160, 190]), st.sampled_from([0, 0, 1, 20, 50, 80])
choices = st.sampled_from([1, 1, 2, 3])
caps = st.sampled_from([None, None, 10**6, None, 4000, None, 1500, 700, 400, 0])
budgets = st.sampled_from([None, None, 10**9, None, 900_001, None, 200_003, 0])
parallels = st.sampled_from([9, 4, 9, 2, 1])
rates = st.sampled_from([10**6, 6000, 60, 10**6, 3])
minutes = st.sampled_from([10**7, 20_000, 10**7, 2000, 10**7, 100])
free_tokens = st.sampled_from([0, 200, 700, 3000])
amounts = st.sampled_from([1, 20_000, 60_011, 150_003, 400_000, 10**6])
grants = st.tuples(amounts, st.integers(0, 1), st.sampled_from([0, 1, 2, 9]))
lent = st.none() | amounts
asks = st.tuples(st.integers(0, 1), prompts, outputs, choices, st.booleans(), st.integers(0, 1))


@dataclass
class Ask:
    """What admission is asked."""

    key: int
    prompt: int
    output: int
    choices: int
    exact: bool
    period: str


@dataclass(eq=False)
class Purse:
    """What each of three months includes, grants in burn order, and what may be unpaid, which comes last.

    A grant is (nano-USD, first month, last month). The middle month is the present one until it turns.
    """

    free_tokens: tuple[int, int, int]
    grants: list[tuple[int, int, int]]
    present: int = 1
    lent: int | None = None

    @property
    def amounts(self) -> list[tuple[int, int, int]]:
        return self.grants if self.lent is None else [*self.grants, (self.lent, 0, 9)]

    def write(self, periods: list[str]) -> str:
        """As quota_sync writes it."""
        now, before = self.present, self.present - 1
        words = [periods[now], periods[before], str(self.free_tokens[now]), str(self.free_tokens[before])]
        for amount, first, last in self.grants:
            letter = {(True, True): "b", (True, False): "c", (False, True): "p"}.get(
                (first <= now <= last, first <= before <= last)
            )
            if letter:
                words.append(f"{amount}:{letter}")
        if self.lent is not None:
            words.append(f"{self.lent}:u")
        return " ".join(words)

    def left(self, owed: list[int]) -> tuple[list[int], int]:
        """What each month can still take from the grants, and what they could not pay; paid coin by coin."""
        left = [amount for amount, _, _ in self.amounts]
        unpaid = 0
        for month, charge in enumerate(owed):
            rest = charge
            for at, (_, first, last) in enumerate(self.amounts):
                if first <= month <= last:
                    coin = min(left[at], rest)
                    left[at] -= coin
                    rest -= coin
            unpaid += rest
        reach = [0, 0, 0]
        for amount, (_, first, last) in zip(left, self.amounts, strict=True):
            for month in range(first, min(last, 2) + 1):
                reach[month] += amount
        return reach, unpaid


def payable(cost: int, tokens: int, free: int) -> int:
    """The share of a cost that the tokens beyond the free ones have, rounded up."""
    return ceil(Fraction(cost * (tokens - free), tokens)) if tokens > free else 0


def payable_in_lua(cost: int, tokens: int, free: int) -> int:
    """The same with the script's doubles: at most a few nano-USD more, never less."""
    if tokens <= free:
        return 0
    bound = min(cost, ceil(cost * ((tokens - free) / tokens)) + 2)
    assert 0 <= bound - payable(cost, tokens, free) <= 5
    return bound


@dataclass(eq=False)
class Flight:
    """An admitted request as its gateway has it."""

    grant: Grant
    ask: Ask
    usage: Usage = field(default_factory=Usage)
    told: Usage = field(default_factory=Usage)  # at the last heartbeat

    @property
    def id(self) -> str:
        return self.grant.request_id

    def used(self, part: int, cached: int) -> Usage:
        """Some usage that the hold covers."""
        prompt = part % (self.ask.prompt + 1)
        completion = part // 7 % (self.grant.output_tokens * self.ask.choices + 1)
        return Usage(prompt, cached % (prompt + 1), completion, "stop")


@dataclass(eq=False)
class Side:
    """One of the two accounts that bound a request; its minute buckets are counted as the script does."""

    scope: str
    limits: dict[str, int | None]
    at: int | None = None
    levels: dict[str, float | None] = field(default_factory=lambda: {"requests": None, "tokens": None})

    def forget(self) -> None:
        self.at, self.levels = None, {"requests": None, "tokens": None}

    def max(self, kind: str) -> int | None:
        return self.limits[f"{kind}_per_minute"]

    def level(self, kind: str, now: int) -> float | None:
        most = self.max(kind)
        if most is None:
            return None
        stored = self.levels[kind]
        return min(most, (most if stored is None else stored) + (now - (self.at or now)) * most / 60000)

    def take(self, now: int, tokens: int) -> None:
        for kind, taken in (("requests", 1), ("tokens", tokens)):
            level = self.level(kind, now)
            if level is not None:
                self.levels[kind] = level - taken
        self.at = now

    def give_back(self, tokens: int) -> None:
        if self.levels["tokens"] is not None:
            self.levels["tokens"] += tokens


def tightest(sides: list[Side], now: int) -> Rates:
    numbers: list[int] = []
    for kind in ("requests", "tokens"):
        bounded = [(side.level(kind, now), side.max(kind)) for side in sides if side.max(kind)]
        left, most = min(bounded, key=lambda pair: pair[0])
        numbers += [most, floor(left), ceil((most - left) * 60000 / most)]
    return Rates(*numbers)


class History(RuleBasedStateMachine):
    """One tenant and its two keys through everything that may happen to them."""

    world: SimpleNamespace  # the tenant, its keys, Valkey: made by the test

    def __init__(self) -> None:
        super().__init__()
        self.store, self.tenant, self.key_ids = self.world.store, self.world.tenant, self.world.keys
        year = 2030 + next(self.world.years)
        self.months = [f"{year}-{month}" for month in ("10", "11", "12")]
        self.periods = self.months[1:]
        self.purse: Purse | None = None
        self.is_unbounded = False  # something was billed that no hold covered any more
        self.store.flushdb()
        self.tables = RouteTables()
        self.data_plane = self.world.data_plane
        self.flying: list[Flight] = []  # the gateway has it
        self.landed: list[Flight] = []  # the gateway has settled it
        self.held: dict[str, Flight] = {}  # Valkey has its hold
        self.swept: set[str] = set()
        self.events: dict[
            str, tuple[str, int, int, int]
        ] = {}  # period, key, tokens, nano-USD: the first told
        self.failed: set[str] = set()  # it is an event, too, and nothing more
        self.recorded: set[str] = set()
        self.told = False  # an event came without its hold: the counters may ask to be made anew
        self.is_flushed = False
        self.revoked: set[int] = set()

    @initialize(
        tokens=st.tuples(caps.map(lambda cap: 10**6 if cap is None else cap), caps, caps),
        money=st.tuples(budgets, budgets, budgets),
        parallel=st.tuples(parallels, st.none() | parallels, st.none()),
        requests=st.tuples(rates, st.none() | rates, st.none()),
        minute=st.tuples(minutes, st.none() | minutes, st.none()),
        purse=st.none() | st.builds(
            Purse, st.tuples(st.just(0), free_tokens, free_tokens), st.lists(grants, max_size=4), lent=lent
        ),
    )  # fmt: skip
    def begins(self, tokens, money, parallel, requests, minute, purse=None):  # noqa: PLR0917 Hypothesis names them
        if purse:
            self.purse = Purse(purse.free_tokens, list(purse.grants), lent=purse.lent)
        self.sides = [
            Side("key" if at else "workspace", {
                "monthly_tokens": tokens[at], "monthly_nanousd": money[at], "parallel_requests": parallel[at],
                "requests_per_minute": requests[at], "tokens_per_minute": minute[at],
            })
            for at in range(3)
        ]  # fmt: skip
        self._publish()

    def teardown(self):
        if hasattr(self, "sides"):
            self._quiesce()

    # what happens

    @rule(asks=st.lists(asks, min_size=1, max_size=4))
    def admit(self, asks):
        for key, prompt, output, choices, exact, month in asks:
            self._ask(Ask(key, prompt, output, choices, exact, self.periods[month]))

    def _ask(self, ask: Ask) -> None:
        before, began = self._dump(), self._now()
        try:
            grant = self._admit(ask)
        except Exception as error:  # noqa: BLE001 compared with what the model says
            refusal = said(error)
        else:
            return self._admitted(ask, grant)
        assert refusal in [self._expected(ask, now) for now in range(began, self._now() + 1)]
        assert self._dump() == before

    def _admitted(self, ask: Ask, grant: Grant) -> None:
        now = grant.admitted_ms
        _, output, tokens, nanousd = self._expected(ask, now)
        assert (grant.output_tokens, grant.hold_tokens, grant.hold_nanousd) == (output, tokens, nanousd)
        for side in self._sides(ask):
            side.take(now, tokens)
        assert grant.rates == tightest(self._sides(ask), now)
        assert grant.prices == PRICES
        if self.purse:
            assert ask.period == self.months[self.purse.present]
        flight = Flight(grant, ask)
        self.flying.append(flight)
        self.held[flight.id] = flight
        self._check_caps(ask)
        self._check_purse()

    @precondition(lambda self: self.flying)
    @rule(n=picks, part=picks, cached=picks)
    def settle(self, n, part, cached):
        flight = self.flying.pop(n % len(self.flying))
        self.landed.append(flight)
        flight.usage = flight.used(part, cached)
        self._settle(flight, flight.usage)

    @precondition(lambda self: self.flying)
    @rule(n=picks)
    def engine_fails(self, n):
        flight = self.flying.pop(n % len(self.flying))
        self.landed.append(flight)
        if flight.id in self.held:  # without its hold a failure is nobody's business
            self.failed.add(flight.id)
        self._settle(flight, Usage(), "upstream_error")

    @precondition(lambda self: self.landed)
    @rule(n=picks)
    def settle_again(self, n):
        flight = self.landed[n % len(self.landed)]
        self._settle(flight, flight.usage)

    @precondition(lambda self: self.flying)
    @rule(n=picks, part=picks)
    def beat(self, n, part):
        flight = self.flying[n % len(self.flying)]
        self._beat(flight, flight.used(part, 0))

    @precondition(lambda self: self.flying)
    @rule(n=picks)
    def gateway_dies(self, n):
        self.flying.pop(n % len(self.flying))

    @precondition(lambda self: self.held)
    @rule(n=picks)
    def lease_ends(self, n):
        flight = self._pick_held(n)
        self._end_lease(flight)
        assert sweep_expired_holds(self.store) == 1
        self._release(flight, flight.told)
        self._bill(flight, flight.told)
        self.swept.add(flight.id)

    @precondition(lambda self: any(f.id in self.held for f in self.flying))
    @rule(n=picks, part=picks, cached=picks)
    def sweep_races_a_settle(self, n, part, cached):
        there = [f for f in self.flying if f.id in self.held]
        flight = there[n % len(there)]
        usage = flight.usage = flight.used(part, cached)
        self._end_lease(flight)
        sweeping = threading.Thread(target=sweep_expired_holds, args=(self.store,))
        sweeping.start()
        self.data_plane.settle(flight.grant, usage)
        sweeping.join()
        self.flying.remove(flight)
        self.landed.append(flight)
        # Either may have been first; that one's count is billed, and its unused went back to the minute.
        first = next(iter(self._events_of(flight)), Usage())
        assert first.tokens in {usage.tokens, flight.told.tokens}
        assert first.tokens or not usage.tokens
        del self.held[flight.id]
        self._late(flight, first)

    @rule()
    def drain_twice_at_once(self):
        expected = len((self.events.keys() | self.failed) - self.recorded)
        new = race(*(partial(drain_usage, self.store, consumer) for consumer in ("one", "other")))
        assert sum(new) == expected
        self.recorded = self.events.keys() | self.failed

    @rule(at=st.integers(0, 2), tokens=caps, money=budgets, parallel=parallels, minute=minutes)
    def limits_change(self, at, tokens, money, parallel, minute):
        limits = self.sides[at].limits
        limits["monthly_tokens"] = tokens if at or tokens is not None else 10**6
        limits["monthly_nanousd"] = money
        limits["parallel_requests"] = parallel
        if limits["tokens_per_minute"]:  # the other way the bucket begins full: a test of its own
            limits["tokens_per_minute"] = minute
        if not self.is_flushed:
            self._publish_limits()

    @precondition(lambda self: self.purse)
    @rule(amount=amounts, last=st.sampled_from([0, 1, 9]), at=picks)
    def credit_is_granted(self, amount, last, at):
        now = self.purse.present
        self.purse.grants.insert(at % (len(self.purse.grants) + 1), (amount, now, now + last))
        if not self.is_flushed:
            self._publish_limits()

    @precondition(lambda self: self.purse and self.purse.present == 1)
    @rule()
    def month_turns(self):
        self.purse.present = 2
        if not self.is_flushed:
            self._publish_limits()

    @rule(revoked=st.sampled_from([(), (), (0,), (1,)]))
    def keys_are_revoked(self, revoked):
        self.revoked = set(revoked)
        if not self.is_flushed:
            self._publish_limits()

    @precondition(lambda self: not self.is_flushed)
    @rule(what=st.sampled_from(["nothing", "nothing", "scripts", "all"]))
    def flush(self, what):
        if what == "nothing":
            return
        self.store.script_flush()
        if what == "scripts":
            return
        self.store.flushall()
        self.held.clear()
        self.events = {name: event for name, event in self.events.items() if name in self.recorded}
        self.failed &= self.recorded
        for side in self.sides:
            side.forget()
        # Not served: a gateway that was away for longer than its lease, or has yet to hear that it settled.
        self.landed = [f for f in self.landed if f.id in self.events]
        self.flying = [f for f in self.flying if f.id not in self.swept]
        self.is_flushed = True

    @precondition(lambda self: self.is_flushed)
    @rule()
    def warm(self):
        self._warm()

    # what always holds

    @invariant()
    def valkey_is_the_model(self):
        if not hasattr(self, "sides"):
            return
        for period in self.periods:
            account = self._account(period)
            assert part_of(account, "held", "reserved") == self._holds(period)
            if self._is_known(period):
                assert part_of(account, "used", "spent") == self._used(period)
            else:
                assert self.is_flushed or self.told
        bucket = self.store.hgetall(names.bucket_key(self.tenant))
        assert part_of(bucket, "open") == self._counts([
            f.ask.key for f in self.held.values() for _ in range(f.ask.choices)
        ])  # fmt: skip
        prefix = names.hold_key(self.tenant, "")
        holds = (name.removeprefix(prefix) for name in self.store.scan_iter(f"{prefix}*"))
        assert {request for request in holds if self._is_held(request)} == set(self.held)
        leases = self.store.zrange(names.leases_key(), 0, -1)
        assert {lease.split()[1] for lease in leases} == set(self.held)

    # the deeds

    def _admit(self, ask: Ask) -> Grant:
        caller = Caller(self.tenant, self.key_ids[ask.key])
        return self.data_plane.admit(
            caller, tables=self.tables, prompt=ask.prompt, is_exact=ask.exact, output=ask.output,
            sequences=ask.choices, period=ask.period,
        )  # fmt: skip

    def _settle(self, flight: Flight, usage: Usage, outcome: str = "complete") -> None:
        there = flight.id in self.held
        self.data_plane.settle(flight.grant, usage, outcome)
        if there:
            self._release(flight, usage)
            self._bill(flight, usage)
        else:
            self._late(flight, usage)

    def _beat(self, flight: Flight, usage: Usage) -> None:
        """As the gateway does: extend, or put back."""
        extended = self.data_plane.extend(flight.grant, usage)
        if not extended:
            self.data_plane.restore(flight.grant, usage)
        if flight.id not in self.swept:
            assert extended == (flight.id in self.held)
            assert self._is_held(flight.id)
        if self._is_held(flight.id):
            self.held[flight.id], flight.told = flight, usage

    def _late(self, flight: Flight, usage: Usage) -> None:
        """A settlement without a hold, or one that raced: it may not change what was billed first."""
        if usage.tokens and flight.id not in self.events:
            self.is_unbounded = True
        self._bill(flight, usage)
        self.told = True
        for side in self._sides(flight.ask):
            side.levels["tokens"] = self._stored_tokens(side)

    def _release(self, flight: Flight, usage: Usage) -> None:
        del self.held[flight.id]
        for side in self._sides(flight.ask):
            side.give_back(flight.grant.hold_tokens - usage.tokens)

    def _bill(self, flight: Flight, usage: Usage) -> None:
        if usage.tokens:
            cost = cost_nanousd(PRICES, usage.prompt, usage.cached, usage.completion)
            assert cost <= flight.grant.hold_nanousd
            self.events.setdefault(flight.id, (flight.ask.period, flight.ask.key, usage.tokens, cost))

    def _end_lease(self, flight: Flight) -> None:
        self.store.zadd(names.leases_key(), {f"{self.tenant} {flight.id}": 1}, xx=True)

    def _pick_held(self, n: int) -> Flight:
        return list(self.held.values())[n % len(self.held)]

    def _warm(self) -> None:
        for flight in self.flying:
            self._beat(flight, flight.told)
        self._publish()
        self.is_flushed = False

    def _publish(self) -> None:
        self._publish_limits()
        write_version(VERSION)
        open_tables()
        publish_names(self.tenant, {"poetry": target("poetry", "v1")})
        for period in self.months:
            rebuild_counters(self.store, self.tenant, period)
        self.recorded, self.told = self.events.keys() | self.failed, False

    def _publish_limits(self) -> None:
        written = [{k: "" if v is None else v for k, v in side.limits.items()} for side in self.sides]
        plan = {"state": "live", "max_output_tokens": MAX_OUTPUT, "weight": 1, **PRICES._asdict()}
        plan |= {"slug": "tester", "sequences_per_request": 16}
        plan["credits"] = self.purse.write(self.months) if self.purse else ""
        self.store.hset(names.limits_key(self.tenant), mapping=written[0] | plan)
        for key, limits in enumerate(written[1:]):
            state = {"state": "revoked" if key in self.revoked else "live", "expires_at": "", "styles": ""}
            self.store.hset(names.key_key(self.tenant, self.key_ids[key]), mapping=limits | state)

    def _quiesce(self) -> None:
        self._warm()
        for flight in self.flying:
            self._settle(flight, flight.told)
        for flight in list(self.held.values()):
            self._end_lease(flight)
        sweep_expired_holds(self.store)
        for flight in list(self.held.values()):
            self._release(flight, flight.told)
            self._bill(flight, flight.told)
        drain_usage(self.store, "c")
        self.valkey_is_the_model()
        assert not self.held
        self._check_purse()
        for period in self.periods:
            rebuild_counters(self.store, self.tenant, period)
            account = {name: n for name, n in self._account(period).items() if n}
            events = UsageEvent.objects.filter(tenant=self.tenant, period=period)
            ledger = LedgerEntry.objects.filter(tenant=self.tenant, period=period)
            sums = ledger.aggregate(tokens=Sum("tokens"), nanousd=Sum("amount_nanousd"), count=Count("pk"))
            costs = [cost_nanousd(e, e.prompt_tokens, e.cached_tokens, e.completion_tokens) for e in events]
            assert sum(costs) == sum(e.cost_nanousd for e in events) == (sums["nanousd"] or 0)
            assert (account.get("used", 0), account.get("spent", 0)) == (sums["tokens"] or 0, sum(costs))
            assert sums["count"] == sum(event[0] == period for event in self.events.values())
            self.store.delete(names.account_key(self.tenant, period))
            rebuild_counters(self.store, self.tenant, period)
            assert {name: n for name, n in self._account(period).items() if n} == account
        ended = UsageEvent.objects.filter(tenant=self.tenant, period__in=self.periods)
        assert {event.request_id for event in ended} == self.events.keys() | self.failed

    # the model

    def _sides(self, ask: Ask) -> list[Side]:
        return [self.sides[0], self.sides[1 + ask.key]]

    def _sums(self, names: tuple[str, str], rows: Iterable[tuple[int, int, int]]) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for key, *amounts in rows:
            for name, amount in zip(names, amounts, strict=True):
                sums[name] += amount
                sums[f"{name}:{self.key_ids[key]}"] += amount
        return {name: value for name, value in sums.items() if value}

    def _counts(self, keys: list[int]) -> dict[str, int]:
        counts = {"open": len(keys)} | {f"open:{self.key_ids[k]}": keys.count(k) for k in set(keys)}
        return {name: value for name, value in counts.items() if value}

    def _used(self, period: str) -> dict[str, int]:
        rows = (numbers for month, *numbers in self.events.values() if month == period)
        return self._sums(("used", "spent"), rows)

    def _holds(self, period: str) -> dict[str, int]:
        there = (f for f in self.held.values() if f.ask.period == period)
        rows = ((f.ask.key, f.grant.hold_tokens, f.grant.hold_nanousd) for f in there)
        return self._sums(("held", "reserved"), rows)

    def _money(self, ask: Ask, side: Side) -> list[tuple[int, int, int | None]]:
        """(used, held, cap) in tokens and in nano-USD."""
        of = f":{self.key_ids[ask.key]}" if side.scope == "key" else ""
        used, held = self._used(ask.period), self._holds(ask.period)
        return [
            (used.get(use + of, 0), held.get(hold + of, 0), side.limits[cap])
            for use, hold, cap in (
                ("used", "held", "monthly_tokens"),
                ("spent", "reserved", "monthly_nanousd"),
            )
        ]

    def _check_caps(self, ask: Ask) -> None:
        for side in self._sides(ask):
            for used, held, cap in self._money(ask, side):
                assert cap is None or used + held <= cap

    def _owed(self, pay=payable) -> list[int]:
        """What each of the three months may owe beyond its free tokens, with all that is held."""
        owed = []
        for month, free in zip(self.months, self.purse.free_tokens, strict=True):
            used, held = self._used(month), self._holds(month)
            cost, tokens = (
                used.get(a, 0) + held.get(b, 0) for a, b in (("spent", "reserved"), ("used", "held"))
            )
            owed.append(pay(cost, tokens, free))
        return owed

    def _check_purse(self) -> None:
        """No credit is used twice, and nothing is used that no credit pays."""
        if self.purse and not self.is_unbounded:
            assert self.purse.left(self._owed())[1] == 0

    def _short_of_credits(self, ask: Ask, tokens: int, nanousd: int, *, busy: bool):
        """The refusal for want of credits, as the script counts; CacheMiss without the month before."""
        now = self.purse.present
        free = self.purse.free_tokens[now]

        def account(period: str, with_held: bool) -> tuple[int, int]:
            used, held = self._used(period), self._holds(period) if with_held else {}
            return used.get("spent", 0) + held.get("reserved", 0), used.get("used", 0) + held.get("held", 0)

        spent, used = account(ask.period, busy)
        owed = payable_in_lua(spent + nanousd, used + tokens, free)
        if not owed:
            return
        before = self.months[now - 1]
        written = self.purse.write(self.months)
        if re.search(":[bu]", written) and not self._is_known(before):
            yield None
        reach = []
        for with_held in (False, True):
            owed_before = [0, 0, 0]
            owed_before[now - 1] = payable_in_lua(
                *account(before, with_held), self.purse.free_tokens[now - 1]
            )
            reach.append(self.purse.left(owed_before)[0][now])
        if owed > reach[busy]:
            paid = payable_in_lua(*account(ask.period, False), free)
            name = ("unpaid" if ":u" in written else "credits") + ("_in_flight" if busy else "_spent")
            retry_ms = 2000 if busy else 0
            needed = owed - payable_in_lua(spent, used, free)
            yield name, "workspace", retry_ms, reach[0], reach[0] - paid, needed

    def _expected(self, ask: Ask, now: int) -> tuple:
        """What admission must say at this millisecond."""
        denied = self._denied(ask)
        if denied:
            return (denied,)
        output, room = MAX_OUTPUT, MAX_MODEL_LEN - ask.prompt
        is_cut = not ask.output and room < output
        output = min(ask.output, output) if ask.output else max(1, min(output, room))
        tokens = ask.prompt + output * ask.choices
        nanousd = ask.prompt * PRICES.input_nanousd + output * ask.choices * PRICES.output_nanousd
        for limit in self._refusals(ask, tokens, nanousd, now):
            if limit is None:
                return ("CacheMiss",)
            name, scope, retry_ms, allowed, left, *own_need = limit
            error, words, _ = admission.LIMIT_ERRORS[name]
            is_money = name.startswith(("nanousd", "credits", "unpaid"))
            shown = usd if is_money else "{:,}".format
            needed = own_need[0] if own_need else nanousd if is_money else tokens
            return (
                error.__name__, admission.LimitScope[scope.upper()](), words(), shown(allowed),
                shown(floor(max(0, left))), shown(needed),
                max(1, ceil(ceil(retry_ms) / 1000)), tightest(self._sides(ask), now),
            )  # fmt: skip
        if is_cut and not ask.exact:
            return ("PromptEstimateTooHigh",)
        return ("admitted", output, tokens, nanousd)

    def _denied(self, ask: Ask) -> str:
        if not self._is_known(ask.period):
            return "CacheMiss"
        if ask.key in self.revoked:
            return "RevokedKey"
        is_old = self.purse and ask.period != self.months[self.purse.present]
        return "CacheMiss" if is_old else ""

    def _refusals(self, ask: Ask, tokens: int, nanousd: int, now: int):
        yield from self._for_good(ask, tokens, nanousd, now)
        if self.purse:
            yield from self._short_of_credits(ask, tokens, nanousd, busy=False)
        yield from self._for_now(ask, tokens, nanousd, now)
        if self.purse:
            yield from self._short_of_credits(ask, tokens, nanousd, busy=True)

    def _for_good(self, ask: Ask, tokens: int, nanousd: int, now: int):
        for side in self._sides(ask):
            for name, need, (used, _, cap) in zip(
                ("tokens_spent", "nanousd_spent"), (tokens, nanousd), self._money(ask, side), strict=True
            ):
                if cap is not None and used + need > cap:
                    yield name, side.scope, 0, cap, cap - used
            if (most := side.max("tokens")) and tokens > most:
                yield "tokens_too_large", side.scope, 0, most, side.level("tokens", now)
            if (parallel := side.limits["parallel_requests"]) and ask.choices > parallel:
                yield "parallel_too_large", side.scope, 0, parallel, parallel

    def _for_now(self, ask: Ask, tokens: int, nanousd: int, now: int):
        for at, side in enumerate(self._sides(ask)):
            for name, need, (used, held, cap) in zip(
                WAITED_FOR[:2], (tokens, nanousd), self._money(ask, side), strict=True
            ):
                if cap is not None and used + held + need > cap:
                    yield name, side.scope, 2000, cap, cap - used
            opened = sum(f.ask.choices for f in self.held.values() if at == 0 or f.ask.key == ask.key)
            parallel = side.limits["parallel_requests"]
            if parallel and opened + ask.choices > parallel:
                yield "parallel", side.scope, 1000, parallel, parallel - opened
            for kind, need in (("requests", 1), ("tokens", tokens)):
                most, level = side.max(kind), side.level(kind, now)
                if most and level < need:
                    left = 0 if kind == "requests" else level
                    yield kind, side.scope, (need - level) * 60000 / most, most, left

    # what Valkey says

    def _now(self) -> int:
        seconds, micros = self.store.time()
        return seconds * 1000 + micros // 1000

    def _account(self, period: str) -> dict[str, int]:
        return {k: int(v) for k, v in self.store.hgetall(names.account_key(self.tenant, period)).items()}

    def _is_known(self, period: str) -> bool:
        return not self.is_flushed and self.store.hexists(names.account_key(self.tenant, period), "used")

    def _is_held(self, request: str) -> bool:
        """Whether Valkey has an open hold; what was swept may leave a mark."""
        tokens, swept = self.store.hmget(names.hold_key(self.tenant, request), "tokens", "swept")
        return int(tokens or 0) > 0 and swept is None

    def _dump(self) -> dict[str, bytes]:
        keys = sorted([*self.store.keys(f"*{self.tenant}*"), names.leases_key(), names.usage_key()])
        return dict(zip(keys, map(self.world.raw.dump, keys), strict=True))

    def _events_of(self, flight: Flight) -> list[Usage]:
        entries = self.store.xrange(names.usage_key())
        return [
            Usage(int(e["prompt"]), int(e["cached"]), int(e["completion"]))
            for _, e in entries if e["request"] == flight.id
        ]  # fmt: skip

    def _stored_tokens(self, side: Side) -> float | None:
        of = "" if side.scope == "workspace" else f":{self.key_ids[self.sides.index(side) - 1]}"
        stored = self.store.hget(names.bucket_key(self.tenant), f"tokens{of}")
        return float(stored) if stored else None


class Wallet(History):
    """A history in which nothing but credits refuses a request."""

    @initialize(
        free=st.tuples(st.just(0), *[st.sampled_from([0, 0, 200, 700])] * 2),
        granted=st.lists(grants, min_size=1, max_size=4),
        lent=lent,
    )
    def begins(self, free, granted, lent):
        many = 10**7
        super().begins(
            (many, None, None), (None, None, None), (99, None, None), (many, None, None), (many, None, None),
            Purse(free, granted, lent=lent),
        )  # fmt: skip

    limits_change = keys_are_revoked = flush = drain_twice_at_once = None  # none of these rules

    @rule(asks=st.lists(asks, min_size=1, max_size=6))
    def admit(self, asks):
        for key, prompt, output, sequences, exact, _ in asks:
            self._ask(Ask(key, prompt, output, sequences, exact, self.months[self.purse.present]))


def part_of(written: dict, *wanted: str) -> dict[str, int]:
    """Those of a hash's counters, with each `:<key>`, that are not zero."""
    return {name: int(n) for name, n in written.items() if name.split(":")[0] in wanted and int(n)}


def said(error: Exception) -> tuple:
    """An error as the model writes it."""
    if not isinstance(error, Limited):
        return (type(error).__name__,)
    facts = ("scope", "limit", "allowed", "left", "needed", "retry_s")
    return (type(error).__name__, *(error.facts[name] for name in facts), error.rates)


@pytest.fixture
def world(*, valkey, acme, alice, settings, monkeypatch, data_plane) -> Iterator[SimpleNamespace]:
    """Acme with two keys, in months of which each history takes two of its own."""
    monkeypatch.setattr(admission, "_period_bounds_ms", lambda period: (0, 2**52))
    monkeypatch.setattr(admission, "LEASE_MS", 3_600_000)
    monkeypatch.setattr(settlement, "LEASE_MS", 3_600_000)
    other, _ = issue_key(acme, name="Second", by=alice)
    raw = redis.Redis.from_url(settings.VALKEY_URL)
    yield SimpleNamespace(
        store=valkey,
        raw=raw,
        data_plane=data_plane,
        tenant=acme.pk,
        keys=(playground_key(acme).pk, other.pk),
        years=count(),
    )
    raw.close()


@pytest.fixture
def history(world) -> History:
    """A history in which nothing has happened."""
    History.world = world
    return History()


def test_whatever_happens_valkey_the_ledger_and_a_plain_model_agree(world):
    class Here(History):
        pass

    Here.world = world
    run_state_machine_as_test(Here, settings=RANDOM)


def test_whatever_happens_no_credit_pays_twice_and_nothing_is_used_that_none_pays(world):
    class Here(Wallet):
        pass

    Here.world = world
    run_state_machine_as_test(Here, settings=settings(RANDOM, max_examples=examples(50)))


@given(
    used=st.integers(0, 4 * 10**15), held=st.integers(0, 10**12), more=st.integers(-3, 3), prompt=prompts,
    output=st.integers(1, MAX_OUTPUT), choices=choices, at=st.integers(0, 1),
)  # fmt: skip
@SINGLE
def test_a_budget_refuses_exactly_what_could_pass_it(
    history, *, used, held, more, prompt, output, choices, at
):
    worst = prompt * PRICES.input_nanousd + output * choices * PRICES.output_nanousd
    history.begins(
        (10**9, None, None), (None, None, None), (9, None, None), (9, None, None), (10**6, None, None)
    )
    history.sides[at].limits["monthly_nanousd"] = used + held + worst + more
    history._publish_limits()
    of = f":{history.key_ids[0]}" if at else ""
    period = history.periods[0]
    account = names.account_key(history.tenant, period)
    history.store.hset(account, mapping={f"spent{of}": used, f"reserved{of}": held})
    history.store.delete(names.bucket_key(history.tenant))
    asked = Ask(0, prompt, output, choices, True, period)
    if more < 0:
        with pytest.raises(QuotaExhausted if held + more < 0 else InFlightFull) as refused:
            history._admit(asked)
        assert refused.value.facts["left"] == usd(held + worst + more)
    else:
        assert history._admit(asked).hold_nanousd == worst
        assert int(history.store.hget(account, f"reserved{of}")) == held + worst


spans = st.tuples(st.integers(0, 2000), st.integers(0, 10**6), st.integers(0, 900), st.integers(0, 4 * 10**5))
paying_before = st.tuples(st.integers(1, 4 * 10**5), st.just(1), st.sampled_from([1, 9]))


@given(
    before=spans, now=spans, free=st.sampled_from([(0, 0), (0, 200), (200, 0), (700, 700)]), prompt=prompts,
    granted=st.lists(paying_before, min_size=1, max_size=3), at=st.booleans(),
    more=st.integers(-50_000, 50_000), is_lent=st.booleans(),
)  # fmt: skip
@SINGLE
def test_at_a_months_turn_credits_pay_the_month_before_first(
    history, *, before, now, free, prompt, granted, at, more, is_lent
):
    # The last grant makes what is there about as much as both months need, with or without what is open.
    both = [
        payable(spent + reserved * at, used + held * at, free_then)
        for (used, spent, held, reserved), free_then in zip((before, now), free, strict=True)
    ]
    rest = sum(both) + more - sum(amount for amount, _, _ in granted)
    last = max(1, rest)
    if is_lent:
        purse = Purse((0, *free), granted, present=2, lent=last)
    else:
        purse = Purse((0, *free), [*granted, (last, 1, 9)], present=2)
    history.begins(
        (10**9, None, None), (None, None, None), (9, None, None), (9, None, None), (10**6, None, None), purse
    )
    history.purse = purse
    history._publish_limits()
    for month, amounts in ((1, before), (2, now)):
        fields = dict(zip(("used", "spent", "held", "reserved"), amounts, strict=True))
        history.store.hset(names.account_key(history.tenant, history.months[month]), mapping=fields)
    history.store.delete(names.bucket_key(history.tenant))
    tokens, cost = prompt + 5, prompt * PRICES.input_nanousd + 5 * PRICES.output_nanousd

    def owed(amounts, free, *, busy, pay=payable_in_lua, more=(0, 0)):
        used, spent, held, reserved = amounts
        return pay(spent + reserved * busy + more[1], used + held * busy + more[0], free)

    reach = [purse.left([0, owed(before, free[0], busy=busy), 0])[0][2] for busy in (False, True)]
    need = [owed(now, free[1], busy=busy, more=(tokens, cost)) for busy in (False, True)]
    asked = Ask(0, prompt, 5, 1, True, history.months[2])
    if need[0] > reach[0]:
        with pytest.raises(UnpaidLimitReached if is_lent else CreditsExhausted):
            history._admit(asked)
    elif need[1] > reach[1]:
        with pytest.raises(InFlightFull):
            history._admit(asked)
    else:
        history._admit(asked)
        worst_before = owed(before, free[0], busy=True, pay=payable)
        worst_now = owed(now, free[1], busy=True, pay=payable, more=(tokens, cost))
        assert purse.left([0, worst_before, worst_now])[1] == purse.left([0, worst_before, 0])[1]


numbers = st.integers(0, 10**7)


@given(
    prices=st.tuples(numbers, numbers, numbers),
    parts=st.lists(st.tuples(numbers, numbers, numbers), max_size=6),
)
@SINGLE
def test_a_cost_is_a_whole_number_and_the_sum_of_its_parts(prices, parts):
    prices = TokenPrices(*prices)
    costs = [cost_nanousd(prices, cached + fresh, cached, made) for cached, fresh, made in parts]
    cached, fresh, made = (sum(column) for column in zip(*parts, strict=True)) if parts else (0, 0, 0)
    assert sum(costs) == cost_nanousd(prices, cached + fresh, cached, made)
    assert all(type(cost) is int and cost >= 0 for cost in costs)


@pytest.mark.parametrize("counts", [(-1, 0, 0), (1, 2, 0), (1, -1, 0), (1, 0, -1)])
def test_impossible_counts_have_no_price(counts):
    with pytest.raises(ValueError, match="impossible"):
        cost_nanousd(PRICES, *counts)


async def test_another_month_is_told_and_changes_nothing(account, ask):
    before = {name: account.store.dump(name) for name in account.store.keys(f"*{account.tenant}*")}
    with pytest.raises(PeriodRollover) as told:
        await ask(period="2020-02")
    assert period_at(told.value.now_ms) == months.current()
    assert {name: account.store.dump(name) for name in account.store.keys(f"*{account.tenant}*")} == before


async def test_a_minute_limit_that_a_key_gets_begins_full(account, ask):
    key = names.key_key(account.tenant, account.key)
    account.store.hset(key, "requests_per_minute", 100)
    grant = await ask()
    account.store.hset(key, "tokens_per_minute", 100)
    assert (await ask()).rates.tokens_left == 100 - grant.hold_tokens


async def test_a_minute_limit_that_a_key_gets_back_is_full_after_a_minute(account, ask):
    key, bucket = names.key_key(account.tenant, account.key), names.bucket_key(account.tenant)
    account.store.hset(key, mapping={"requests_per_minute": 100, "tokens_per_minute": 100})
    await ask()
    account.store.hset(key, "tokens_per_minute", "")
    account.store.hincrby(bucket, f"at:{account.key}", -3_600_000)  # an hour later
    await ask()
    account.store.hset(key, "tokens_per_minute", 100)
    assert (await ask()).rates.tokens_left == 100 - 30


@pytest.mark.parametrize("beaten", [0, 9])
async def test_a_slow_gateway_that_was_swept_is_billed_once(gateway, account, ask, settle, valkey, *, beaten):
    grant = await ask("slow")
    await gateway.meter.extend(InFlight.begin(grant, Usage(prompt=beaten)))
    valkey.zadd(names.leases_key(), {f"{account.tenant} slow": 1})
    assert sweep_expired_holds(valkey) == 1
    if not await gateway.meter.extend(InFlight.begin(grant, Usage(prompt=9, completion=1))):
        await gateway.meter.restore(InFlight.begin(grant, Usage(prompt=9, completion=1)))
    await settle(grant, prompt=9, completion=7)
    assert account.held() == 0
    assert account.used() == account.events()[0]["prompt_tokens"] + account.events()[0]["completion_tokens"]
    assert account.used() == (beaten or 16)


async def test_a_slow_gateway_may_settle_what_was_swept_before_it_had_a_count(account, ask, settle, valkey):
    grant = await ask("slow")
    valkey.zadd(names.leases_key(), {f"{account.tenant} slow": 1})
    assert sweep_expired_holds(valkey) == 1
    await settle(grant, prompt=9, completion=7)
    assert (account.held(), account.used(), len(account.events())) == (0, 16, 1)


def told(request: str, *, tenant: UUID, key: UUID) -> dict:
    """A usage event as the stream has it."""
    return {
        "request": request, "tenant": str(tenant), "key": str(key), "period": "2026-11", "prompt": 1,
        "admitted_ms": 1_764_000_000_000, "route": ROUTE, "prices": "1 1 1", "cached": 0, "completion": 1,
        "cost": 2, "finish": "stop", "outcome": "complete",
    }  # fmt: skip


def test_a_rebuild_ends_although_others_are_served(world, charlies):
    stream, theirs, done = names.usage_key(), playground_key(charlies).pk, threading.Event()

    def serve_others() -> None:
        for number in count():
            event = told(f"theirs{number}", tenant=charlies.pk, key=theirs)
            world.store.xadd(stream, event)
            if done.wait(0.002):
                return

    def run() -> None:
        rebuild_counters(world.store, world.tenant, "2026-11")
        connection.close()

    serving, rebuilding = threading.Thread(target=serve_others), threading.Thread(target=run)
    serving.start()
    rebuilding.start()
    rebuilding.join(PATIENCE_S)
    in_time = not rebuilding.is_alive()
    done.set()
    serving.join()
    rebuilding.join()
    assert in_time


def test_an_event_that_can_never_be_recorded_stops_no_rebuild(world):
    poison = told("poison", tenant=world.tenant, key=uuid4())
    world.store.xadd(names.usage_key(), poison)
    rebuild_counters(world.store, world.tenant, "2026-11")
    assert world.store.hget(names.account_key(world.tenant, "2026-11"), "used") == "0"
    drain_usage(world.store, "c")
    assert world.store.xlen(names.usage_key()) == 0
