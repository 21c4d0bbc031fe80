"""Hold what a training can cost at most before it starts, and charge what it cost when it ends.

Requests and trainings share a workspace's budget and credits. The snapshot in Valkey has both less what
trainings hold and were charged, so admission stays what it is. A hold is therefore taken in three steps:

1. Its row is written, under the workspace's lock, if the ledger leaves room for it.
2. The snapshot is published. From then on admission lets nothing through that would need what is held.
3. Valkey's account of the month is read: what requests have used, and what those in flight may use. If that
   leaves room for the hold, it is confirmed, and the training may start. Else it is taken back.

Requests that were admitted between the first two steps are in the account by the third one, and later ones
see the smaller bound. So of requests, charges and confirmed holds together nothing exceeds the budget or the
credits at any moment. What remains are refusals in vain: two holds that are taken in one moment count each
other, and a request may be refused for a hold that is then taken back. Where Valkey has lost its account, the
ledger counts instead, as it does for admission; requests that ran then and are not restored from their
gateways are unknown to both (decision 12).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import redis
from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_noop as _

from core import months, valkey
from core.errors import Conflict, Unavailable
from core.messages import Message, MessageCode
from core.money import usd, usd_at_least, usd_at_most
from metering import plans, trainings
from metering.credits import lock_tenant
from metering.ledger import usage_of
from metering.models import Invoice, LedgerEntry, TrainingHold
from metering.quota_sync.credit_field import MonthCount, credits_beside
from metering.quota_sync.snapshot import bump_generations, mark_changed, publish_snapshot, valkey_now
from metering.unpaid import has_paid_invoice, unpaid_cap_nanousd
from tenants.models import Tenant

COUNTERS = ("used", "held", "spent", "reserved")


class Payer(MessageCode):
    """What a training is paid from."""

    BUDGET = _("monthly budget")
    CREDITS = _("credits")


class Advice(MessageCode):
    """What helps a workspace that can't pay for a training."""

    BUDGET = _("Raise the budget, or upgrade your plan.")
    CREDITS = _("Add credits.")
    PLAN = _("Add credits, or upgrade to a plan that invoices usage.")
    FIRST_INVOICE = _("Add credits, or pay your first invoice once it's issued.")


class TrainingNotCovered(Conflict):
    """This training can't be paid for."""

    @classmethod
    def of(cls, hold: TrainingHold, left_nanousd: int, **facts: str | Promise) -> Self:
        """Return the error for a hold that needs more than is left, with both amounts as facts."""
        left = max(0, left_nanousd)
        return cls(
            needed=usd_at_most(hold.nanousd),
            left=usd_at_least(left),
            needed_nanousd=hold.nanousd,
            left_nanousd=left,
            **facts,
        )


class OverBudget(TrainingNotCovered):
    """This training can cost up to {needed}, and only {left} of this month's budget of {budget} is left.
    Raise the budget, upgrade your plan, or train on less text."""

    code = "training_over_budget"


class OverCredits(TrainingNotCovered):
    """This training can cost up to {needed}, and {left} is left to pay for it. {advice} You can also train on
    less text."""

    code = "training_over_credits"


class NothingLeft(TrainingNotCovered):
    """Nothing is left to pay for a training. {advice}"""

    code = "training_nothing_left"


class HeldByRequests(TrainingNotCovered):
    """This training can cost up to {needed}. Requests in progress are using your {payer}, and {left} is free
    right now. Try again in a few minutes."""

    code = "training_waits_for_requests"


class HoldReleased(Conflict):
    """What was reserved for this training has been released. Start it again."""

    code = "training_hold_released"


class BudgetUnknown(Unavailable):
    """We can't check the workspace's budget right now. Try again shortly."""

    code = "budget_unavailable"


@dataclass(frozen=True)
class Left:
    """Nano-USD that are left for trainings: of a month's budget, and of credits where these bound it."""

    tenant: Tenant
    budget: int | None
    of_budget: int | None
    of_credits: int | None
    is_capped: bool  # by what may be unpaid until the first invoice is paid


def hold_training(tenant: Tenant, training_id: UUID, most_tokens: int, now: datetime) -> TrainingHold:
    """Return the hold of a training: confirmed, so that it may start, or settled, if it is over.

    It is of `most_tokens` at the price in effect, which is the training's price until its end. Safe to
    repeat, and from several processes at once: a training has one hold. Call it outside of transactions.

    Raises OverBudget, OverCredits and HeldByRequests, with the facts `needed_nanousd` and `left_nanousd`;
    HoldReleased, if another call for the same training was refused meanwhile; and BudgetUnknown, if Valkey
    does not answer. In each case nothing is held.
    """
    with transaction.atomic(durable=True):
        lock_tenant(tenant.pk)
        hold = TrainingHold.objects.filter(pk=training_id).first()
        if hold is None:
            hold = _write_hold(tenant, training_id, most_tokens, now)
    if hold.confirmed_at or hold.settled_at:
        return hold
    return _confirm(tenant, hold, now)


def require_anything_left(tenant: Tenant, now: datetime) -> None:
    """Raise NothingLeft if the ledger leaves nothing for a training, however little it costs.

    It only reads: whether a training is covered is decided by `hold_training`.
    """
    if not trainings.price_at(tenant, now):
        return
    period = months.period_of(now)
    used = _count_ledger(tenant, period)
    before = _count_ledger(tenant, months.before(period))
    left = _find_left(tenant, now, used=used, before=before)
    if left.of_budget is not None and left.of_budget <= 0:
        raise NothingLeft(advice=Advice.BUDGET())
    if left.of_credits is not None and left.of_credits <= 0:
        raise NothingLeft(advice=_advise(left, needed_nanousd=1))


def settle_training(training_id: UUID, trained_tokens: int, now: datetime) -> int:
    """Charge a training that has ended, in this month, and release its hold; return the charge in nano-USD.

    It is charged for what was trained, and never for more than was held. Safe to repeat, and from several
    processes at once: it is charged once, and a later call returns the same, whatever it counts. Call it in
    the transaction that ends the training. A training that never had a hold costs nothing, so it needs no
    call; raises TrainingHold.DoesNotExist where one without a hold has trained.
    """
    found = TrainingHold.objects.filter(pk=training_id).first()
    if found is None:
        if trained_tokens > 0:
            raise TrainingHold.DoesNotExist(training_id)
        return 0
    with transaction.atomic():
        lock_tenant(found.tenant_id)
        # Another process may have settled it, or have taken it back, while this one waited for the lock.
        open_hold = TrainingHold.objects.open().filter(pk=training_id)
        hold = open_hold.first()
        if hold is None:
            return trainings.charge_of(training_id) or 0
        nanousd = _charge(hold, min(max(trained_tokens, 0), hold.most_tokens), now)
        open_hold.update(settled_at=now)
        mark_changed(hold.tenant_id)
    return nanousd


def _write_hold(tenant: Tenant, training_id: UUID, most_tokens: int, now: datetime) -> TrainingHold:
    price = trainings.price_at(tenant, now)
    hold = TrainingHold.objects.create(
        training=training_id,
        tenant=tenant,
        token_nanousd=price,
        most_tokens=most_tokens,
        nanousd=most_tokens * price,
        period=months.period_of(now),
        # What costs nothing needs no room.
        confirmed_at=None if price and most_tokens else now,
    )
    if hold.nanousd:
        period = months.period_of(now)
        used = _count_ledger(tenant, period)
        before = _count_ledger(tenant, months.before(period))
        _require_room(tenant, hold, now, used=used, before=before)
        bump_generations([tenant.pk])
    return hold


def _confirm(tenant: Tenant, hold: TrainingHold, now: datetime) -> TrainingHold:
    """Return a hold that is confirmed. Takes it back where requests in flight need what it holds."""
    try:
        publish_snapshot(tenant.pk)
        # Admission's months are those of Valkey's clock.
        at = valkey_now()
        period = months.period_of(at)
        used = _count_at_most(tenant, period)
        before = _count_at_most(tenant, months.before(period))
    except redis.RedisError as error:
        _take_back(hold)
        raise BudgetUnknown from error
    try:
        _require_room(tenant, hold, at, used=used, before=before)
    except TrainingNotCovered as refusal:
        _take_back(hold)
        raise _blame_requests(hold, refusal) from refusal
    waiting = TrainingHold.objects.open().filter(pk=hold.pk, confirmed_at=None)
    waiting.update(confirmed_at=now)
    confirmed = TrainingHold.objects.filter(pk=hold.pk).first()
    if confirmed is None:
        raise HoldReleased
    return confirmed


def _take_back(hold: TrainingHold) -> None:
    """Delete a hold unless another call has confirmed it, or it is settled."""
    with transaction.atomic():
        lock_tenant(hold.tenant_id)
        waiting = TrainingHold.objects.open().filter(pk=hold.pk, confirmed_at=None)
        deleted, _rows = waiting.delete()
        if deleted:
            mark_changed(hold.tenant_id)


def _require_room(
    tenant: Tenant, hold: TrainingHold, at: datetime, *, used: MonthCount, before: MonthCount
) -> None:
    """Raise OverBudget or OverCredits unless a hold, which is written, fits beside all else of its month."""
    left = _find_left(tenant, at, used=used, before=before)
    # The hold itself is among what is taken off.
    if left.of_budget is not None and left.of_budget < 0:
        budget = usd(left.budget or 0)
        raise OverBudget.of(hold, left.of_budget + hold.nanousd, budget=budget)
    if left.of_credits is not None and left.of_credits < 0:
        advice = _advise(left, needed_nanousd=hold.nanousd)
        raise OverCredits.of(hold, left.of_credits + hold.nanousd, advice=advice)


def _find_left(tenant: Tenant, at: datetime, *, used: MonthCount, before: MonthCount) -> Left:
    """Return what a month's requests, trainings and holds leave of its budget and credits."""
    period = months.period_of(at)
    trained = trainings.read_costs(tenant.pk, period, period).in_month(period)
    # Read anew: its owner may have lowered the budget since the caller read the row.
    tenant = Tenant.objects.get(pk=tenant.pk)
    version = plans.plan_version_at(tenant, at)
    budget = plans.budget_of(tenant, version)
    unpaid_cap = unpaid_cap_nanousd(tenant, version)
    of_credits = None
    if unpaid_cap is not None or not version.overage_allowed:
        of_credits = credits_beside(tenant, at, used=used, before=before, unpaid_cap=unpaid_cap) - trained
    return Left(
        tenant=tenant,
        budget=budget,
        of_budget=None if budget is None else budget - used.nanousd - trained,
        of_credits=of_credits,
        is_capped=unpaid_cap is not None,
    )


def _advise(left: Left, *, needed_nanousd: int) -> Message:
    """Return what helps where credits don't cover a training: no plan that the workspace can't have yet."""
    if left.is_capped:
        return Advice.FIRST_INVOICE()
    # Without a paid invoice, such a plan lends no more than an operator's word says.
    lent_nanousd = left.tenant.unpaid_cap_nanousd or 0
    may_be_invoiced = has_paid_invoice(left.tenant) or lent_nanousd >= needed_nanousd
    if may_be_invoiced and any(version.overage_allowed for version in plans.offered_plans()):
        return Advice.PLAN()
    return Advice.CREDITS()


def _blame_requests(hold: TrainingHold, refusal: TrainingNotCovered) -> HeldByRequests:
    """Return the error for what the ledger has room for, and Valkey's account has not."""
    payer = Payer.BUDGET if isinstance(refusal, OverBudget) else Payer.CREDITS
    left = refusal.facts["left_nanousd"]
    assert isinstance(left, int)
    return HeldByRequests.of(hold, left, payer=payer())


def _count_ledger(tenant: Tenant, period: str) -> MonthCount:
    usage = usage_of(tenant.pk, period)
    return MonthCount(usage.tokens, usage.nanousd)


def _count_at_most(tenant: Tenant, period: str) -> MonthCount:
    """Return what a month's requests come to if each in flight uses all that it holds.

    Valkey is ahead of the ledger, except where it lost its account.
    """
    found = valkey.client().hmget(valkey.account_key(tenant.pk, period), *COUNTERS)
    used, held, spent, reserved = (int(count or 0) for count in found)
    recorded = _count_ledger(tenant, period)
    return MonthCount(max(used + held, recorded.tokens), max(spent + reserved, recorded.nanousd))


def _charge(hold: TrainingHold, tokens: int, now: datetime) -> int:
    """Write the ledger entry of a training, if it has trained at all; return its amount."""
    nanousd = tokens * hold.token_nanousd
    if tokens:
        LedgerEntry.objects.create(
            tenant_id=hold.tenant_id,
            kind=LedgerEntry.Kind.TRAINING,
            source_id=str(hold.training),
            period=_month_to_charge(hold.tenant_id, now),
            amount_nanousd=nanousd,
            tokens=tokens,
        )
    return nanousd


def _month_to_charge(tenant_id: UUID, now: datetime) -> str:
    """Return this month, or a later one where its invoice is final already: what is charged is invoiced.

    A worker may have read its clock long before it gets the lock.
    """
    period = months.period_of(now)
    final = Invoice.objects.filter(tenant=tenant_id, period__gte=period).exclude(state=Invoice.State.DRAFT)
    newest = final.order_by("-period").values_list("period", flat=True).first()
    return months.period_of(months.bounds(newest)[1]) if newest else period
