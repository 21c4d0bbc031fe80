"""Which of the settings' API_KEY_PEPPERS is used for what is stored from now on.

By itself, because each gateway process needs it, and cryptography, which seals with it, takes 6 MiB.
"""

from django.conf import settings


def current_pepper() -> int:
    """Return the number of the pepper that new API keys and secrets are stored under."""
    stated: int | None = settings.API_KEY_PEPPER
    return max(settings.API_KEY_PEPPERS) if stated is None else stated
