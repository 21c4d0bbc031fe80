"""Add the demo's sample data: a team of three, months of requests, invoices, an author's share, a webhook.

The product's own actions make it, and only dates are set afterwards, so every number on a page comes from
ledger rows as it does for everybody else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from random import Random

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.onboarding import hide_steps
from accounts.workspaces import first_party_tenant, playground_key
from adapters.models import BaseModel, Style
from adapters.public import found_workspace
from billing.public import author_shares, decide_shares, invoices
from core import locks, months
from core.errors import NotAllowed
from core.messages import Message
from core.money import NANO
from events.models import EventType, WebhookDelivery, WebhookEndpoint
from events.webhooks import endpoints
from keys.actions import create_key
from metering import credits, partitions
from metering.ledger import Event, record_events
from metering.models import CreditGrant, Invoice, StylePrice, Subscription, TokenPrices
from metering.plans import newest_plan_version
from metering.price_book import find_price
from metering.request_log import Refusal, record_refusals
from operations.models import SampleData
from operations.sample_data.traffic import CalledStyle, Habit, Served, make_events, make_request_id
from tenants.access import Access, access_of_person
from tenants.audit import record_command
from tenants.models import ApiKey, Membership, Tenant, User

NAME = "Sample workspace"
READER_NAME = "Sample reader"  # uses the style that the sample workspace shares, and pays for it
PLAN = "writer"
SEED = 62
DOMAIN = "sample.polyscribe.example"  # RFC 2606: no mail can be sent there
TEAMMATES = (
    ("Mira", "Okafor", Membership.Role.ADMIN, timedelta(hours=5)),  # last seen so long ago
    ("Jonas", "Weber", Membership.Role.BILLING, timedelta(days=3)),
)
SHARED_STYLE = "field-notes"
SHARE_PERCENT = 30
SHARED_PRICES = TokenPrices(2_000, 500, 6_000)
READER_CREDITS_NANOUSD = 25 * NANO
HOOK = "https://newsroom.example/hooks/polyscribe"
INVOICED_AFTER = timedelta(days=1, hours=2)  # the month's end, as beat does it
FOUNDED_AFTER = timedelta(days=3)  # so that the first invoice is prorated
PAID_AFTER = timedelta(days=9, hours=7)


class NotADemo(NotAllowed):
    """Sample data is for a demo on your own machine. This site's URL is https, so it serves people."""


def add_sample_data(owner: User) -> Tenant | None:
    """Return a person's new workspace with two months of sample data, and this month's until now.

    None if it was added before, also if it was removed since. Raises NotADemo.
    """
    if settings.SECURE:
        raise NotADemo
    if SampleData.objects.exists():
        return None
    now = timezone.now()
    period = months.current()
    last = months.before(period)
    before_last = months.before(last)
    for each in (before_last, last, period):
        partitions.make_partition(each)  # apart: it locks a table that drains write to
    with transaction.atomic():
        locks.one_at_a_time("sample data")
        if SampleData.objects.exists():
            return None
        since = months.bounds(before_last)[0] + FOUNDED_AFTER
        tenant = _found(owner, NAME, since)
        teammates = _add_teammates(tenant, since)
        access = access_of_person(owner, tenant, address=None)
        keys = _create_keys(access, since)
        _add_endpoint(access)
        _record_traffic(tenant, keys, since=since, until=now)
        _record_refusals(tenant, keys[0], now)
        reader_owner = _add_person("Nora", "Lind", since)
        reader = _found(reader_owner, READER_NAME, since)
        _earn(tenant, reader, last)
        _invoice(tenant, before_last, now, is_paid=True)
        _invoice(tenant, last, now, is_paid=False)
        _invoice(reader, last, now, is_paid=True)
        # Beat does both as well, within minutes; the pages are complete at once.
        decide_shares(now)
        author_shares.pay_due(now)
        _settle_endpoint(access)
        hide_steps(owner, tenant)  # nobody begins here
        User.objects.filter(pk=owner.pk).update(default_workspace=tenant)
        SampleData.objects.create(tenant=tenant, user_ids=[*(user.pk for user in teammates), reader_owner.pk])
        record_command("seed", action="sample_data.added", row=tenant)
    return tenant


def _found(owner: User, name: str, since: datetime) -> Tenant:
    """Return a new workspace that has been on its plan since some earlier moment."""
    tenant = found_workspace(owner, name=name)
    Tenant.objects.filter(pk=tenant.pk).update(created_at=since)
    Membership.objects.filter(tenant=tenant).update(created_at=since)
    Subscription.objects.filter(tenant=tenant).update(starts_at=since, plan_version=newest_plan_version(PLAN))
    tenant.refresh_from_db()
    return tenant


def _add_person(first_name: str, last_name: str, since: datetime) -> User:
    """Return a new account that nobody can log in to and that gets no mail."""
    return User.objects.create_user(
        f"{first_name.lower()}@{DOMAIN}",
        first_name=first_name,
        last_name=last_name,
        is_active=False,
        date_joined=since,
    )


def _add_teammates(tenant: Tenant, since: datetime) -> list[User]:
    teammates = []
    for number, (first_name, last_name, role, seen_ago) in enumerate(TEAMMATES, 1):
        joined_at = since + timedelta(days=3 * number)
        user = _add_person(first_name, last_name, joined_at)
        membership = Membership.objects.create(
            tenant=tenant, user=user, role=role, last_seen_at=timezone.now() - seen_ago
        )
        Membership.objects.filter(pk=membership.pk).update(created_at=joined_at)
        access_of_person(user, tenant, address=None).audit(
            "member.joined", membership, after={"role": role.value}
        )
        teammates.append(user)
    return teammates


def _create_keys(by: Access, since: datetime) -> list[ApiKey]:
    """Return two keys; their secrets are forgotten here, so nobody can use them."""
    keys = []
    for name in ("Website", "Newsletter"):
        key, _ = create_key(by, name=name)
        keys.append(key)
    ApiKey.objects.filter(tenant=by.tenant).update(created_at=since)
    return keys


def _record_traffic(tenant: Tenant, keys: Sequence[ApiKey], *, since: datetime, until: datetime) -> None:
    website, newsletter = keys
    *styles, base = _called_styles()
    favourite, *others = styles or [base]
    mixed = {favourite: 8, **dict.fromkeys(others, 3), base: 1}
    one = {others[-1] if others else favourite: 1}
    habits = [
        Habit(tenant.pk, website.pk, mixed, (0, 24), 17, 8, (600, 6_800), (80, 760), 60),
        Habit(tenant.pk, newsletter.pk, one, (5, 7), 6, 0, (2_400, 6_600), (240, 900), 80),
        Habit(tenant.pk, playground_key(tenant).pk, mixed, (9, 18), 4, 1, (40, 900), (60, 512), 0),
    ]
    random = Random(SEED)
    served = _served(find_price(since).amounts)
    events: list[Event] = []
    for habit in habits:
        events += make_events(habit, served, random, since=since, until=until)
    _record(events)


def _called_styles() -> list[CalledStyle]:
    """Return the first party's live styles, the base model last."""
    live = Style.objects.filter(owner=first_party_tenant(), retired_at=None, live_version__isnull=False)
    called = []
    for style in live.select_related("owner", "live_version").order_by("-slug"):
        version = style.live_version
        if version:
            called.append(CalledStyle(style.model_name, style.pk, version.number, version.sha256))
    return [*called, CalledStyle("base")]


def _served(prices: TokenPrices) -> Served:
    return Served(settings.BASE_MODEL, settings.ENGINE_NAME, prices)


def _record(events: Iterable[Event]) -> None:
    """Record requests month by month, so that an invoice's ledger entries lie together."""
    by_month = sorted(events, key=attrgetter("period"))
    for _, of_month in groupby(by_month, key=attrgetter("period")):
        record_events(of_month)


def _record_refusals(tenant: Tenant, key: ApiKey, now: datetime) -> None:
    """Record what a mistyped name gets: twice today, and some days ago."""
    random = Random(SEED + 2)
    refusals = []
    for hours_ago in (2, 3, 75):
        refusals.append(
            Refusal(
                request_id=make_request_id(random),
                tenant_id=tenant.pk,
                key_id=key.pk,
                at=now - timedelta(hours=hours_ago),
                model_name="poetry-2",
                status=404,
                code="model_not_found",
                reason=Message("inference.unknown_model", {"model": "poetry-2"}),
            )
        )
    record_refusals(refusals)


def _earn(author: Tenant, reader: Tenant, period: str) -> None:
    """Let another workspace use a style of the author's for a month, beyond what its plan includes.

    The style was taken down when the month ended: an engine has no place for files that nobody trained.
    """
    start, end = months.bounds(period)
    style = Style.objects.create(
        owner=author,
        slug=SHARED_STYLE,
        name="Field notes",
        base_model=BaseModel.objects.get(name=settings.BASE_MODEL),
        retired_at=end,
    )
    # Before the month, so that its requests have this price.
    StylePrice.objects.create(
        style=style.pk,
        style_name=style.model_name,
        effective_from=start - timedelta(hours=7),
        author=author,
        author_percent=SHARE_PERCENT,
        **SHARED_PRICES._asdict(),
    )
    called = {CalledStyle(style.model_name, style.pk, 1): 1}
    key = playground_key(reader)
    habit = Habit(reader.pk, key.pk, called, (6, 22), 34, 18, (5_800, 7_000), (300, 800), 40)
    _record(make_events(habit, _served(SHARED_PRICES), Random(SEED + 1), since=start, until=end))
    credits.grant_credit(
        reader,
        READER_CREDITS_NANOUSD,
        source=CreditGrant.Source.GOODWILL,
        source_id="sample data",
        reason="Sample data",
        actor="sample data",
        now=start,
    )


def _invoice(tenant: Tenant, period: str, now: datetime, *, is_paid: bool) -> None:
    """Make the invoice of a month that is over."""
    draft = invoices.draft_invoice(tenant, period)
    if draft is None:
        return
    _, end = months.bounds(period)
    final = invoices.finalize_invoice(draft, min(now, end + INVOICED_AFTER))
    if is_paid:
        invoices.pay_invoice(final, actor="sample data", reason="Bank transfer")
        paid_at = min(now, end + INVOICED_AFTER + PAID_AFTER)
        Invoice.objects.filter(pk=final.pk).update(closed_at=paid_at)


def _add_endpoint(by: Access) -> None:
    """Add an endpoint that gets the events of all that follows."""
    endpoints.create_endpoint(
        by,
        url=HOOK,
        description="Newsroom",
        event_types=[EventType.INVOICE_FINALIZED, EventType.INVOICE_PAID, EventType.CREDIT_GRANTED],
    )


def _settle_endpoint(by: Access) -> None:
    """Note that its events were delivered, and disable it: nothing is ever sent to that address."""
    endpoint = WebhookEndpoint.objects.get(tenant=by.tenant)
    random = Random(SEED + 3)
    deliveries = list(endpoint.deliveries.all())
    for delivery in deliveries:
        delivery.status = WebhookDelivery.Status.DELIVERED
        delivery.attempts = 1
        delivery.attempted_at = delivery.created_at
        delivery.status_code = 200
        delivery.latency_ms = random.randint(90, 420)
    changed = ["status", "attempts", "attempted_at", "status_code", "latency_ms"]
    WebhookDelivery.objects.bulk_update(deliveries, changed)
    endpoints.disable_endpoint(endpoint, by=by)
