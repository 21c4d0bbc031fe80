"""Secrets of endpoints: made, kept encrypted, and used to sign as https://www.standardwebhooks.com says.

A signing secret must be used again with every delivery, so a digest as for API keys won't do.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from secrets import token_bytes

from standardwebhooks import Webhook

from core.sealing import reseal, seal, unseal

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
PURPOSE = b"polyscribe: secrets of webhooks"


def new_secret() -> str:
    """Return a new random secret, `whsec_` and base64."""
    return PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def seal_secret(secret: str) -> str:
    """Return a secret encrypted under the newest pepper's key."""
    return seal(secret, purpose=PURPOSE)


def unseal_secret(sealed: str) -> str:
    """Return a secret that `seal_secret` encrypted.

    Raises cryptography.fernet.InvalidToken when its pepper is no longer in the settings.
    """
    return unseal(sealed, purpose=PURPOSE)


def reseal_secret(sealed: str) -> str:
    """Return the same secret encrypted under the newest pepper's key. Raises as `unseal_secret` does."""
    return reseal(sealed, purpose=PURPOSE)


def sign(secrets: Sequence[str], *, event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret: while one is replaced, both verify."""
    signatures = [Webhook(secret).sign(event_id, at, body) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
