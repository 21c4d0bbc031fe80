"""Fixtures of the pages, of the console and of /api/v1 that several folders of tests use."""

import pytest

from billing.payments import payments
from billing.payments.manual_provider import ManualProvider
from tenants.models import Tenant, User, WebhookEndpoint
from tenants.webhooks import signing
from tests.config.things import Arguments, lay_things


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
    WebhookEndpoint.objects.update(sealed_secret=signing.seal_secret(signing.new_secret()))
