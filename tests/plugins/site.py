"""Fixtures of the pages, of the console and of /api/v1 that several folders of tests use."""

import pytest

from billing.payments import payments
from billing.payments.providers import ManualProvider
from events.models import WebhookEndpoint
from events.webhooks import delivery
from provenance import checks
from tenants.models import Tenant, User
from tests.config.things import Arguments, lay_things
from tests.provenance.marked import KEY, encode


@pytest.fixture
def of_acme(acme: Tenant, alice: User, charlies: Tenant) -> Arguments:
    """The arguments that name Acme's things in addresses."""
    return lay_things(acme, alice)


class CardsWithoutProvider(ManualProvider):
    """Takes cards, and asks nobody."""

    takes_cards = True


@pytest.fixture
def ready(of_acme, settings, monkeypatch) -> None:
    """Let uploads begin, cards be taken, and endpoints have a secret that can be read."""
    monkeypatch.setattr(payments, "current_provider", CardsWithoutProvider)
    monkeypatch.setattr(payments, "_provider_of", lambda payment: CardsWithoutProvider())
    settings.BASE_MODEL = "base"
    WebhookEndpoint.objects.update(sealed_secret=delivery.seal_secret(delivery.new_secret()))


@pytest.fixture
def provenance_keys(settings, monkeypatch) -> None:
    """Keys of watermarks and receipts, and the tokens of the texts that tests write."""
    settings.WATERMARK_KEYS = {1: 0xFEDC, 3: KEY}
    settings.RECEIPT_KEYS = {1: bytes(32)}
    monkeypatch.setattr(checks, "encode_text", encode)
