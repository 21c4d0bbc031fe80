"""The format of an API key: `sk-ps-`, 30 random base62 digits, 6 base62 digits of their CRC-32.

The check digits refuse garbage without a look-up and let leak scanners recognise keys. Only an HMAC-SHA256
of the secret under a numbered pepper is stored.
"""

import hmac
import re
import string
import zlib
from secrets import choice

from django.conf import settings

from core.peppers import current_pepper

PREFIX = "sk-ps-"
BODY_DIGITS = 30
CHECK_DIGITS = 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{BODY_DIGITS}}})([0-9A-Za-z]{{{CHECK_DIGITS}}})")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


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
