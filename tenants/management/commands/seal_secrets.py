"""`manage.py seal_secrets`: encrypt what is kept encrypted under the current pepper."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.peppers import current_pepper
from tenants.accounts.mfa import seal_factors
from tenants.api_keys.lifecycle import peppers_in_use
from tenants.audit import record_command
from tenants.webhooks.endpoints import reseal_secrets


class Command(BaseCommand):
    """Safe to repeat and beside a running site, once a new pepper is in the settings of all processes."""

    help = (
        "Encrypt the secrets of webhooks and second factors under the current pepper, and show which "
        "peppers can be removed."
    )
    audit_action = "secrets.sealed"

    def handle(self, **_: Any) -> None:
        """Encrypt all, print how many, then a line for each pepper."""
        lost: list[str] = []
        endpoints, factors = reseal_secrets(lost), seal_factors(lost)
        facts = {"webhook_endpoints": endpoints, "second_factors": factors}
        record_command("seal_secrets", action="secrets.sealed", after=facts)
        self.stdout.write(f"Encrypted: {endpoints} webhook endpoints, {factors} second factors.")
        live_keys = peppers_in_use()
        for number in sorted(settings.API_KEY_PEPPERS):
            self.stdout.write(f"Pepper {number}: {_describe(number, live_keys.get(number, 0))}")
        if lost:
            raise CommandError(
                "These use a pepper that is not in API_KEY_PEPPERS. Add the old one next to the new "
                f"one, as 1:HEX,2:HEX, and run this again: {'; '.join(lost)}."
            )


def _describe(number: int, live_keys: int) -> str:
    if number == current_pepper():
        return f"current, {live_keys} active API keys."
    if live_keys:
        return f"used by {live_keys} active API keys. Remove it once these are rotated or revoked."
    if number > current_pepper():
        return "not used yet. It becomes current when API_KEY_PEPPER no longer selects another one."
    return "no longer needed. Remove it from API_KEY_PEPPERS."
