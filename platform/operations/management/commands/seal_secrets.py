"""`manage.py seal_secrets`: encrypt what is kept encrypted under the current pepper."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import QuerySet

from accounts.adapter import reseal_factor
from core.peppers import current_pepper
from events.models import WebhookEndpoint
from events.webhooks.endpoints import reseal_secrets
from tenants.audit import record_command
from tenants.models.keys import peppers_in_use


class Command(BaseCommand):
    """Safe to repeat and beside a running site, once a new pepper is in the settings of all processes."""

    help = (
        "Encrypt the secrets of webhooks and second factors under the current pepper, and show which "
        "peppers can be removed."
    )
    audit_action = "secrets.sealed"

    def handle(self, **_: object) -> None:
        """Encrypt all, print how many, then a line for each pepper."""
        lost_endpoints, endpoints = reseal_rows(WebhookEndpoint.objects.all(), reseal_secrets)
        # Passkeys have no secret here.
        holders = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN)
        lost_factors, factors = reseal_rows(holders, reseal_factor)
        facts = {"webhook_endpoints": endpoints, "second_factors": factors}
        record_command("seal_secrets", action="secrets.sealed", after=facts)
        self.stdout.write(f"Encrypted: {endpoints} webhook endpoints, {factors} second factors.")
        live_keys = peppers_in_use()
        for number in sorted(settings.API_KEY_PEPPERS):
            self.stdout.write(f"Pepper {number}: {_describe(number, live_keys.get(number, 0))}")
        lost = [f"webhook endpoint {endpoint.pk}" for endpoint in lost_endpoints]
        lost += [f"a second factor of user {factor.user_id}" for factor in lost_factors]
        if lost:
            raise CommandError(
                "These use a pepper that is not in API_KEY_PEPPERS. Add the old one next to the new "
                f"one, as 1:HEX,2:HEX, and run this again: {'; '.join(lost)}."
            )


def reseal_rows(rows: QuerySet[Any], reseal: Callable[[Any], None]) -> tuple[list[Any], int]:
    """Reseal rows, each in a transaction of its own; return those that can't be, and how many were.

    A row whose pepper is no longer in the settings stays as it is.
    """
    lost = []
    count = 0
    for pk in rows.values_list("pk", flat=True):
        with transaction.atomic():
            row = rows.select_for_update(no_key=True).filter(pk=pk).first()
            if row is None:  # its owner removed it meanwhile
                continue
            try:
                reseal(row)
            except InvalidToken:
                lost.append(row)
            else:
                count += 1
    return lost, count


def _describe(number: int, live_keys: int) -> str:
    if number == current_pepper():
        return f"current, {live_keys} active API keys."
    if live_keys:
        return f"used by {live_keys} active API keys. Remove it once these are rotated or revoked."
    if number > current_pepper():
        return "not used yet. It becomes current when API_KEY_PEPPER no longer selects another one."
    return "no longer needed. Remove it from API_KEY_PEPPERS."
