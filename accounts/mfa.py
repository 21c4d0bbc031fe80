"""What allauth.mfa keeps: secrets of authenticator apps and seeds of recovery codes, encrypted."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from core.sealing import reseal, seal, unseal

PURPOSE = b"polyscribe: second factors"
SECRETS = ("secret", "seed")  # where allauth keeps an app's secret, and what recovery codes derive from


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors that a copy of the database does not give away."""

    def encrypt(self, text: str) -> str:
        return seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, purpose=PURPOSE)


def reseal_factor(factor: Authenticator) -> None:
    """Encrypt a second factor under the current pepper's key. Raises fernet.InvalidToken."""
    for name in SECRETS:
        if name in factor.data:
            factor.data[name] = reseal(factor.data[name], purpose=PURPOSE)
    factor.save(update_fields=["data"])
