"""What allauth.mfa keeps: secrets of authenticator apps and seeds of recovery codes, encrypted."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.db import transaction

from core.sealing import reseal, seal, unseal

PURPOSE = b"polyscribe: second factors"
SECRETS = ("secret", "seed")  # where allauth keeps an app's secret, and what recovery codes derive from
SEALED_PREFIX = "gAAAA"  # of every Fernet token; no base32 secret and no hexadecimal seed begins with it


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors that a copy of the database does not give away."""

    def encrypt(self, text: str) -> str:
        return seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret. Rows from before 2026-11-26 are not encrypted; `seal_secrets` does that."""
        if not encrypted_text.startswith(SEALED_PREFIX):
            return encrypted_text
        return unseal(encrypted_text, purpose=PURPOSE)


def seal_factors(lost: list[str]) -> int:
    """Encrypt all second factors under the current pepper's key; return how many. Safe to repeat.

    One whose pepper is no longer in the settings stays as it is, and its owner is added to `lost`.
    """
    count = 0
    holders = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN)  # passkeys have no secret here
    for pk, user_id in holders.values_list("pk", "user"):
        try:
            count += _seal_factor(pk)
        except InvalidToken:
            lost.append(f"a second factor of user {user_id}")
    return count


def _seal_factor(pk: int) -> int:
    with transaction.atomic():
        factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
        if factor is None:  # its owner removed it meanwhile
            return 0
        for name in SECRETS:
            if name in factor.data:
                factor.data[name] = _seal_anew(factor.data[name])
        factor.save(update_fields=["data"])
    return 1


def _seal_anew(kept: str) -> str:
    if kept.startswith(SEALED_PREFIX):
        return reseal(kept, purpose=PURPOSE)
    return seal(kept, purpose=PURPOSE)
