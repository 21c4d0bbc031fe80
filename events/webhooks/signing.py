"""Secrets of endpoints: made, kept encrypted, and used to sign as https://www.standardwebhooks.com says.

A signing secret must be used again with every delivery, so a digest as for API keys won't do. core/sealing.py
says under which key it is kept, and when it can't be read any more.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from secrets import token_bytes

from standardwebhooks import Webhook

from core.sealing import reseal, seal, unseal
from events.models import WebhookEndpoint

SECRET_BYTES = 32  # the specification asks for 24 to 64
PURPOSE = b"polyscribe: secrets of webhooks"

seal_secret = partial(seal, purpose=PURPOSE)
unseal_secret = partial(unseal, purpose=PURPOSE)
reseal_secret = partial(reseal, purpose=PURPOSE)


def new_secret() -> str:
    """Return a new random secret."""
    return "whsec_" + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def secrets_in_force(endpoint: WebhookEndpoint, at: datetime) -> list[str]:
    """Return an endpoint's secret, and the one before it while its time lasts. Raises fernet.InvalidToken."""
    sealed = [endpoint.sealed_secret]
    if endpoint.previous_secret_until and at < endpoint.previous_secret_until:
        sealed.append(endpoint.sealed_previous_secret)
    return [unseal_secret(secret) for secret in sealed]


def sign(secrets: Sequence[str], *, event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret: while one is replaced, both verify."""
    signatures = [Webhook(secret).sign(event_id, at, body) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
