"""The secrets of API keys: make one, and find the key that a secret belongs to.

A secret is stored nowhere. It is `sk-ps-`, 30 random base62 digits, 6 base62 digits of their CRC-32. The
check digits refuse garbage without a look-up and let leak scanners recognise keys. Only an HMAC-SHA256 of it
under a numbered pepper is stored.
"""

import hmac
import re
import string
import zlib
from secrets import choice

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from core.peppers import current_pepper
from tenants.models import ApiKey, Tenant

PREFIX = "sk-ps-"
BODY_DIGITS = 30
CHECK_DIGITS = 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{BODY_DIGITS}}})([0-9A-Za-z]{{{CHECK_DIGITS}}})")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def find_live_key(secret: str) -> ApiKey | None:
    """Return the live key of a secret with its tenant, as PostgreSQL knows it; None where there is none."""
    if not is_well_formed(secret):
        return None
    live = ApiKey.objects.live(timezone.now()).select_related("tenant")
    return live.filter(digest__in=digest_by_peppers(secret)).first()


def verify_key(secret: str, tenant: Tenant) -> bool:
    """Return whether a secret is a live key of a tenant."""
    key = find_live_key(secret)
    return key is not None and key.tenant_id == tenant.pk


def peppers_in_use() -> dict[int, int]:
    """Return pepper's number → how many live keys are stored under it; the playground's have no secret."""
    live = ApiKey.objects.live(timezone.now()).exclude(digest=None)
    return dict(live.order_by().values_list("pepper").annotate(Count("pk")))


def new_secret() -> str:
    """Return a new random secret (178 bits)."""
    body = "".join(choice(BASE62) for _ in range(BODY_DIGITS))
    return PREFIX + body + check_digits(body)


def is_well_formed(secret: str) -> bool:
    """Return whether a text has a key's shape and the right check digits; the key may not exist."""
    match = SHAPE.fullmatch(secret)
    return match is not None and check_digits(match[1]) == match[2]


def check_digits(body: str) -> str:
    """Return the CRC-32 of a secret's random part as six base62 digits."""
    rest = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECK_DIGITS):
        rest, digit = divmod(rest, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def digest_key(secret: str, pepper_number: int | None = None) -> str:
    """Return the HMAC-SHA256 of a secret in hex, under the current pepper or the given one.

    Raises KeyError for a pepper that API_KEY_PEPPERS no longer holds.
    """
    number = current_pepper() if pepper_number is None else pepper_number
    return hmac.digest(settings.API_KEY_PEPPERS[number], secret.encode(), "sha256").hex()


def digest_by_peppers(secret: str) -> list[str]:
    """Return a secret's digests under every pepper, newest first: a key may be older than the newest one."""
    numbers = sorted(settings.API_KEY_PEPPERS, reverse=True)
    return [digest_key(secret, number) for number in numbers]
