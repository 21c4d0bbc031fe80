"""Free workspaces of one person share an allowance, whatever happens to them: random histories."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing import counters
from core import months
from core import valkey as names
from inference.contract.usage import Usage
from inference.errors import FreePlanExhausted, Limited
from inference.quota.admission import CacheMiss, Caller, Grant, OtherPool
from inference.quota.ledger_drain import drain_usage, rebuild_counters
from inference.quota.settlement import sweep_expired_holds
from tenants.accounts.workspaces import create_tenant
from tenants.metering import plans
from tenants.metering.pools import free_tokens_used
from tenants.models import Membership, Tenant, UsageEvent, User
from tenants.public import playground_key, publish_snapshot, subscribe_tenant
from tests.inference.builders import open_tables, place, publish_names, target, version_row, write_version
from tests.profiles import examples, phases

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 200_000  # of the free plan as shipped
ALLOWED = 600  # a history's rest of it
VERSION = version_row("poetry", "v1", places=[place("local", "http://127.0.0.1:1", max_model_len=2048)])
picks = st.integers(0, 10**6)


@dataclass
class Workspace:
    """A workspace with its key, as a gateway knows it."""

    tenant: Tenant
    caller: Caller
    is_free: bool = True
    is_deleted: bool = False


class Person(RuleBasedStateMachine):
    """One person with free workspaces: they come, go, are paid for a while, and write all at once."""

    world: SimpleNamespace

    def __init__(self) -> None:
        super().__init__()
        self.store = self.world.store
        self.store.flushdb()
        write_version(VERSION)
        self.number = next(self.world.numbers)
        self.user = User.objects.create_user(f"person{self.number}@example.org")
        self.data_plane = self.world.data_plane
        self.period = months.current()
        self.workspaces: list[Workspace] = []
        self.flying: list[tuple[Grant, Usage]] = []
        self.dead: list[tuple[Grant, Usage]] = []  # their gateway died
        self.billed: Counter[str] = Counter()  # pool → tokens
        for _ in range(2):
            self.found()
        # Most of the allowance is used, so that the rest is soon too little.
        self.pool = self.workspaces[0].caller.pool
        grant = self._admit(self.workspaces[0], LIMIT - ALLOWED)
        assert isinstance(grant, Grant)
        self._settle(grant, Usage(LIMIT - ALLOWED, 0, 0, "stop"))

    @precondition(lambda self: len(self.workspaces) < 5)
    @rule()
    def found(self):
        tenant = create_tenant(self.user, name=f"Free {self.number} {len(self.workspaces)}")
        one = Workspace(tenant, Caller(tenant.pk, playground_key(tenant).pk))
        self.workspaces.append(one)
        self._publish(one)

    @rule(n=picks)
    def delete(self, n):
        one = self._pick(n)
        Tenant.objects.filter(pk=one.tenant.pk).update(suspended_at="2026-01-01T00:00Z")
        one.is_deleted = True
        self._publish(one)

    @rule(n=picks)
    def change_plan(self, n):
        one = self._pick(n)
        one.is_free = not one.is_free
        subscribe_tenant(one.tenant, self.world.free if one.is_free else self.world.paid)
        self._publish(one)

    @rule(n=picks)
    def hand_over(self, n):
        """A second owner comes; the oldest one still decides."""
        one = self._pick(n)
        other, _ = User.objects.get_or_create(email=f"other{self.number}@example.org")
        Membership.objects.get_or_create(tenant=one.tenant, user=other, defaults={"role": "owner"})
        self._publish(one)

    @rule(asks=st.lists(st.tuples(picks, st.sampled_from([1, 40, 150, 400])), min_size=2, max_size=5))
    def admit_at_once(self, asks):
        chosen = [(self._pick(n), prompt) for n, prompt in asks]
        for one, _ in chosen:  # a gateway that does not know yet is told, and changes nothing
            self._move(one)

        async def all_at_once() -> list[object]:
            asking = [self._ask(one, prompt) for one, prompt in chosen]
            return await asyncio.gather(*asking, return_exceptions=True)

        for (one, prompt), answer in zip(chosen, self.data_plane.run(all_at_once()), strict=True):
            if isinstance(answer, Grant):
                assert not one.is_deleted
                self.flying.append((answer, Usage(prompt, 0, answer.output_tokens // 2, "stop")))
            elif not isinstance(answer, Limited):
                assert one.is_deleted, answer

    @precondition(lambda self: self.flying)
    @rule(n=picks, fails=st.booleans())
    def settle(self, n, fails):
        grant, usage = self.flying.pop(n % len(self.flying))
        self._settle(grant, Usage() if fails else usage)

    @precondition(lambda self: self.flying)
    @rule(n=picks)
    def gateway_dies(self, n):
        grant, usage = self.flying.pop(n % len(self.flying))
        self.data_plane.extend(grant, usage)
        self.dead.append((grant, usage))

    @precondition(lambda self: self.dead)
    @rule()
    def sweep(self):
        for grant, _ in self.dead:
            lease = f"{grant.caller.names.tenant} {grant.request_id}"
            self.store.zadd(names.leases_key(), {lease: 1}, xx=True)
        assert sweep_expired_holds(self.store) == len(self.dead)
        for grant, usage in self.dead:
            self.billed[grant.caller.pool] += usage.tokens
        self.dead = []

    @precondition(lambda self: not self.dead)
    @rule()
    def flush(self):
        drain_usage(self.store, "c")
        self.store.flushall()
        write_version(VERSION)
        for grant, usage in self.flying:
            self.data_plane.restore(grant, usage)
        for one in self.workspaces:
            self._publish(one)

    @rule()
    def drain(self):
        drain_usage(self.store, "c")
        assert free_tokens_used(self.pool, self.period) == self.billed[self.pool]

    @invariant()
    def no_pool_has_more_than_one_allowance(self):
        if not hasattr(self, "pool"):
            return
        used, held = self._account()
        if used is None:  # after a flush nobody who shares it has come back yet
            assert not any(self._free_pool_of(one) for one in self.workspaces)
            used = self.billed[self.pool]
        assert used + held <= LIMIT
        open_holds = [grant.hold_tokens for grant, _ in (*self.flying, *self.dead) if grant.caller.pool]
        assert (used, held) == (self.billed[self.pool], sum(open_holds))
        sequences = self.store.hget(names.bucket_key(self.pool), "open")
        assert int(sequences or 0) == len(open_holds)

    def teardown(self):
        for grant, usage in self.flying:
            self._settle(grant, usage)
        self.flying = []
        if self.dead:
            self.sweep()
        self.drain()
        self.no_pool_has_more_than_one_allowance()
        assert not list(counters.compare_pools(self.store, self.period))
        before = self._account()
        self.store.delete(names.pool_account_key(self.pool, self.period))
        rebuild_counters(self.store, self.workspaces[0].tenant.pk, self.period)
        if self._free_pool_of(self.workspaces[0]):
            assert self._account() == before == (self.billed[self.pool], 0)
        tenants = [one.tenant.pk for one in self.workspaces]
        events = UsageEvent.objects.filter(tenant__in=tenants).values_list(
            "prompt_tokens", "completion_tokens"
        )
        assert sum(map(sum, events)) == sum(self.billed.values())

    def _free_pool_of(self, one: Workspace) -> str:
        pool = self.store.hget(names.limits_key(one.tenant.pk), "pool_id")
        return pool if pool != str(one.tenant.pk) else ""

    def _account(self) -> tuple[int | None, int]:
        used, held = self.store.hmget(names.pool_account_key(self.pool, self.period), "used", "held")
        return None if used is None else int(used), int(held or 0)

    def _pick(self, n: int) -> Workspace:
        return self.workspaces[n % len(self.workspaces)]

    def _publish(self, one: Workspace) -> None:
        publish_snapshot(one.tenant.pk)
        open_tables()
        publish_names(one.tenant.pk, {"poetry": target("poetry", "v1")})
        limits = {"requests_per_minute": 10**6, "tokens_per_minute": 10**9, "parallel_requests": 10**4}
        self.store.hset(names.limits_key(one.tenant.pk), mapping=limits)
        for period in (months.before(self.period), self.period):
            rebuild_counters(self.store, one.tenant.pk, period)
        self._move(one)

    def _move(self, one: Workspace) -> None:
        pool = self.store.hget(names.limits_key(one.tenant.pk), "pool_id")
        if pool != one.caller.pool_id and not one.is_deleted:
            with pytest.raises(OtherPool) as told:
                self.data_plane.run(self._ask(one, 1))
            assert told.value.pool_id == pool
        one.caller = one.caller.move(pool)

    async def _ask(self, one: Workspace, prompt: int) -> Grant:
        return await self.data_plane.ask(one.caller, prompt=prompt, is_exact=True)

    def _admit(self, one: Workspace, prompt: int) -> Grant | Exception:
        # The context is no matter here: it would keep a test from using up a month in one request.
        hold = names.hold_key(one.tenant.pk, "first")
        grant = self.data_plane.run(self._ask(one, 1))
        more = prompt - grant.hold_tokens
        for account in (
            names.account_key(one.tenant.pk, self.period), names.pool_account_key(self.pool, self.period)
        ):  # fmt: skip
            self.store.hincrby(account, "held", more)
        assert not self.store.exists(hold)
        self.store.hincrby(names.hold_key(one.tenant.pk, grant.request_id), "tokens", more)
        return grant

    def _settle(self, grant: Grant, usage: Usage) -> None:
        outcome = "complete" if usage.tokens else "upstream_error"
        self.data_plane.settle(grant, usage, outcome)
        self.billed[grant.caller.pool] += usage.tokens


@pytest.fixture
def world(valkey, data_plane, acme) -> SimpleNamespace:
    return SimpleNamespace(
        store=valkey,
        data_plane=data_plane,
        numbers=count(),
        free=plans.newest_plan_version("free"),
        paid=plans.newest_plan_version("writer"),
    )


def test_whatever_happens_a_persons_free_workspaces_never_use_more_than_one_allowance(world):
    class Here(Person):
        pass

    Here.world = world
    random = settings(max_examples=examples(15), stateful_step_count=25, phases=phases())
    run_state_machine_as_test(Here, settings=random)


@pytest.fixture
def two(alice, acme, valkey) -> list[Caller]:
    """The callers of two free workspaces of Alice, known to Valkey."""
    other = create_tenant(alice, name="Another")
    write_version(VERSION)
    open_tables()
    callers: list[Caller] = []
    for tenant in (acme, other):
        publish_snapshot(tenant.pk)
        publish_names(tenant.pk, {"poetry": target("poetry", "v1")})
        rebuild_counters(valkey, tenant.pk, months.current())
        pool = valkey.hget(names.limits_key(tenant.pk), "pool_id")
        callers.append(Caller(tenant.pk, playground_key(tenant).pk).move(pool))
    return callers


def test_two_free_workspaces_of_a_person_have_one_bucket_of_refusals_and_rates_and_a_stranger_another(
    two, charlies, data_plane, valkey
):
    first, second = two
    assert first.pool_id == second.pool_id != str(first.tenant_id)
    assert first.names.bucket == second.names.bucket
    assert first.names.refusals == second.names.refusals
    assert first.names.account != second.names.account
    grants = [data_plane.admit(caller) for caller in (first, second) * 2]
    assert {grant.pool_id for grant in grants} == {first.pool_id}
    with pytest.raises(Limited, match="concurrent requests"):  # four on the free plan
        data_plane.admit(second)
    publish_snapshot(charlies.pk)
    assert valkey.hget(names.limits_key(charlies.pk), "pool_id") != first.pool_id


def test_what_one_free_workspace_used_the_other_has_not_and_the_refusal_says_why(two, data_plane, valkey):
    first, second = two
    valkey.hset(names.pool_account_key(first.pool, months.current()), "used", LIMIT - 29)
    with pytest.raises(FreePlanExhausted, match="free workspaces of the same owner share 200,000 tokens"):
        data_plane.admit(second)
    valkey.hset(names.pool_account_key(first.pool, months.current()), "used", LIMIT - 30)
    data_plane.admit(second)


def test_without_the_pools_counters_nothing_is_admitted_until_they_are_rebuilt(two, data_plane, valkey):
    first, _ = two
    valkey.delete(names.pool_account_key(first.pool, months.current()))
    with pytest.raises(CacheMiss):
        data_plane.admit(first)


@pytest.mark.parametrize(
    "addresses", [("a.lice+x@gmail.com", "ALICE@googlemail.com"), ("x+1@b.org", "x@b.org")]
)
def test_two_spellings_of_a_mailbox_are_one_person(db, valkey, addresses):
    pools = set()
    for number, address in enumerate(addresses):
        tenant = create_tenant(User.objects.create_user(address), name=f"W{number}")
        publish_snapshot(tenant.pk)
        pools.add(valkey.hget(names.limits_key(tenant.pk), "pool_id"))
    assert len(pools) == 1


def test_a_workspace_on_a_paid_plan_has_an_allowance_of_its_own(acme, valkey, alice):
    subscribe_tenant(acme, plans.newest_plan_version("writer"))
    publish_snapshot(acme.pk)
    assert UUID(valkey.hget(names.limits_key(acme.pk), "pool_id")) == acme.pk
