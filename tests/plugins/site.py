"""Fixtures of the pages, of the console and of /api/v1 that several folders of tests use."""

import pytest

# Modules that read the URLconf are imported within fixtures: it imports every view, which most tests don't need.


@pytest.fixture
def of_acme(acme, alice, charlies) -> dict[str, object]:
    """The arguments that name Acme's things in addresses; see tests/config/addresses.py."""
    from tests.config.addresses import lay_things

    return lay_things(acme, alice)


@pytest.fixture
def ready(of_acme, settings, monkeypatch) -> None:
    """Let uploads begin, cards be taken without asking anybody, and endpoints have a secret that can be read."""
    from billing.payments import payments
    from billing.payments.manual_provider import ManualProvider
    from tenants.models import WebhookEndpoint
    from tenants.webhooks import signing

    provider = ManualProvider()
    monkeypatch.setattr(provider, "takes_cards", True)
    monkeypatch.setattr(payments, "current_provider", lambda: provider)
    monkeypatch.setattr(payments, "_provider_of", lambda payment: provider)
    settings.BASE_MODEL = "base"
    WebhookEndpoint.objects.update(sealed_secret=signing.seal_secret(signing.new_secret()))
