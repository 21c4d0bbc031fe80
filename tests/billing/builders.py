"""Months, plans, shares and invoices of tests about money."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from accounts.subscriptions import subscribe_tenant
from billing.invoices import invoices
from core import months
from core.money import NANO
from metering.credits import grant_credit
from metering.ledger import record_events
from metering.models import Plan, PlanVersion, StylePrice, Subscription
from metering.plans import newest_plan_version
from tenants.models import Tenant
from tests.fakes import fake_stripe
from tests.tenants.builders import issue_key, make_event

OCTOBER = datetime(2026, 10, 12, 12, tzinfo=UTC)
PAYDAY = datetime(2026, 11, 3, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 2, 1, tzinfo=UTC)
LAST_MONTH = months.before(months.current())
CENT = NANO // 100
STYLE = uuid4()
STRIPE_KEY = "sk_test_never_in_a_log"
STRIPE_SECRET = "whsec_test"


def api_client(tenant, *scopes):
    """Return a program that calls the API with a new key."""
    _, secret = issue_key(tenant, name="books", by=None, scopes=list(scopes))
    return Client(headers={"Authorization": f"Bearer {secret}"})


def share(author, percent, begins, style=STYLE):
    """Let a style have an author's share, or none, from a moment on."""
    StylePrice.objects.create(style=style, effective_from=begins, author=author, author_percent=percent)


def backdate(tenant):
    Tenant.objects.filter(pk=tenant.pk).update(created_at=OCTOBER - timedelta(days=10))
    Subscription.objects.filter(tenant=tenant).update(starts_at=OCTOBER - timedelta(days=10))
    tenant.refresh_from_db()
    return tenant


def put_on(tenant, **terms):
    """Put a tenant on a plan of its own, since before October: fees and included tokens count by the day."""
    free = newest_plan_version("free")
    plan, _ = Plan.objects.get_or_create(code="trial", defaults={"name": "Trial"})
    version = replace_version(free, plan, **terms)
    subscribe_tenant(tenant, version)
    september = OCTOBER - timedelta(days=20)
    own = Subscription.objects.filter(tenant=tenant)
    own.exclude(ends_at=None).update(starts_at=september, ends_at=september)
    own.filter(ends_at=None).update(starts_at=september)


def replace_version(version, plan, **terms):
    fields = {
        field.name: getattr(version, field.name)
        for field in PlanVersion._meta.concrete_fields
        if field.name not in ("id", "plan", "number", "created_at")
    }
    return PlanVersion.objects.create(plan=plan, number=plan.versions.count() + 1, **fields | terms)


def include(tenant, tokens):
    """Put a workspace on a plan that includes so many tokens, from long ago."""
    before = newest_plan_version("writer")
    version = replace_version(before, before.plan, included_tokens=tokens)
    Subscription.objects.filter(tenant=tenant).delete()
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    Subscription.objects.create(tenant=tenant, plan_version=version, starts_at=begins)


def use(tenant, tokens, at=OCTOBER, **facts):
    """Record a request that wrote so many tokens; return its event."""
    written = {"prompt_tokens": 0, "completion_tokens": tokens}
    event = make_event(tenant, admitted_at=at, **written | facts)
    record_events([event])
    return event


def grant(tenant, nanousd, **facts):
    """Grant credits, as a top-up unless the facts say otherwise."""
    usual = {"source": "top_up", "source_id": str(uuid4()), "reason": "", "actor": ""}
    return grant_credit(tenant, nanousd, **usual | facts)


def bill(tenant, period="2026-10", at=NOVEMBER):
    """Return the final invoice of a month."""
    return invoices.finalize_invoice(invoices.draft_invoice(tenant, period), at)


def deliver(client, payload, signature=None):
    """Send an event as Stripe does; return the response."""
    signature = fake_stripe.sign(payload, STRIPE_SECRET) if signature is None else signature
    headers = {"Stripe-Signature": signature}
    address = reverse("billing:stripe_events")
    return client.post(address, payload, content_type="application/json", headers=headers)


def read(content: bytes) -> tuple[int, str]:
    """Return how many pages a PDF has, and its text."""
    pages = PdfReader(BytesIO(content)).pages
    return len(pages), "\n".join(page.extract_text() for page in pages)
