"""`manage.py seal_secrets`: encrypt what is kept encrypted under the newest of API_KEY_PEPPERS."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from tenants.accounts.mfa import seal_factors
from tenants.audit import record_command
from tenants.webhooks.endpoints import reseal_secrets


class Command(BaseCommand):
    """Safe to repeat and beside a running site, once a new pepper is in the settings of all processes."""

    help = "Encrypt secrets of webhooks and of second factors under the newest pepper."

    def handle(self, **_: Any) -> None:
        """Encrypt all, and print how many."""
        try:
            endpoints, factors = reseal_secrets(), seal_factors()
        except InvalidToken as error:
            raise CommandError(
                "A secret is under a pepper that API_KEY_PEPPERS lacks. Put the old one back beside the new "
                "one, as 2:HEX,1:HEX, and run this again."
            ) from error
        facts = {"webhook_endpoints": endpoints, "second_factors": factors}
        record_command("seal_secrets", action="secrets.sealed", after=facts)
        self.stdout.write(f"Encrypted: {endpoints} webhook endpoints, {factors} second factors.")
