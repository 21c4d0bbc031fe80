"""Secrets of endpoints: made, kept encrypted, and used to sign as https://www.standardwebhooks.com says.

A signing secret must be used again with every delivery, so a digest as for API keys won't do. It is encrypted
under a key derived from API_KEY_PEPPERS: these are random, numbered, and stay in the settings while rows need
them. DJANGO_SECRET_KEY may be replaced at any time, at the price of people logging in again.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from secrets import token_bytes

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
PURPOSE = b"polyscribe: secrets of webhooks"


def new_secret() -> str:
    """Return a new random secret, `whsec_` and base64."""
    return PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def seal_secret(secret: str) -> str:
    """Return a secret encrypted under the newest pepper's key."""
    return _cipher().encrypt(secret.encode()).decode()


def unseal_secret(sealed: str) -> str:
    """Return a secret that `seal_secret` encrypted.

    Raises cryptography.fernet.InvalidToken when its pepper is no longer in the settings.
    """
    return _cipher().decrypt(sealed.encode()).decode()


def sign(secrets: Sequence[str], *, event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret: while one is replaced, both verify."""
    signatures = [Webhook(secret).sign(event_id, at, body) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _cipher() -> MultiFernet:
    numbers = sorted(settings.API_KEY_PEPPERS, reverse=True)
    return MultiFernet([_fernet(settings.API_KEY_PEPPERS[number]) for number in numbers])


@lru_cache(maxsize=8)
def _fernet(pepper: bytes) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(pepper)
    return Fernet(base64.urlsafe_b64encode(derived))
