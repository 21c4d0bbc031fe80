"""Fixtures of tests/billing that other folders' tests use as well."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from core import months
from metering.ledger import record_events
from metering.models import Invoice, Subscription
from metering.plans import newest_plan_version
from tenants.models import Tenant
from tests.billing.builders import LAST_MONTH, STRIPE_KEY, STRIPE_SECRET, bill
from tests.fakes import fake_stripe
from tests.fakes.fake_stripe import FakeStripe
from tests.tenants.builders import make_event


@pytest.fixture
def on_writer(acme) -> Tenant:
    """Acme, on the Writer plan since long ago."""
    long_ago = timezone.now() - timedelta(days=100)
    subscribe_tenant(acme, newest_plan_version("writer"))
    Subscription.objects.filter(tenant=acme, ends_at=None).update(starts_at=long_ago)
    Tenant.objects.filter(pk=acme.pk).update(created_at=long_ago)
    return acme


@pytest.fixture
def invoice(on_writer) -> Invoice:
    """Acme's invoice of last month: $12.00, with a little usage that the plan includes."""
    at = months.bounds(LAST_MONTH)[0] + timedelta(days=3)
    record_events([make_event(on_writer, admitted_at=at, style_name="acme/noir")])
    return bill(on_writer, LAST_MONTH, timezone.now())


@pytest.fixture
def stripe(settings, monkeypatch) -> Iterator[FakeStripe]:
    """Stripe, as far as it is used, with short timeouts."""
    monkeypatch.setattr("billing.payments.stripe_provider.RETRIES", 0)
    with fake_stripe.running() as fake:
        settings.STRIPE_SECRET_KEY = STRIPE_KEY
        settings.STRIPE_WEBHOOK_SECRET = STRIPE_SECRET
        settings.STRIPE_API_BASE = fake.url
        yield fake
