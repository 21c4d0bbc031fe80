"""Secrets that must be used again, encrypted in the database under keys derived from API_KEY_PEPPERS.

Peppers are random, numbered, and stay in the settings while rows need them; `manage.py seal_secrets` moves
what is sealed to the current one.
"""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from core.peppers import current_pepper


def seal(text: str, *, purpose: bytes) -> str:
    """Return a text encrypted under the current pepper's key for a purpose."""
    return _cipher(purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, *, purpose: bytes) -> str:
    """Return a text that `seal` encrypted for the same purpose.

    Raises cryptography.fernet.InvalidToken when its pepper is no longer in the settings.
    """
    return _cipher(purpose).decrypt(sealed.encode()).decode()


def reseal(sealed: str, *, purpose: bytes) -> str:
    """Return the same secret encrypted under the current pepper's key. Raises as `unseal` does."""
    return _cipher(purpose).rotate(sealed.encode()).decode()


def _cipher(purpose: bytes) -> MultiFernet:
    # The first of them encrypts, all of them decrypt.
    numbers = sorted(settings.API_KEY_PEPPERS, key=lambda number: number != current_pepper())
    return MultiFernet([_fernet(settings.API_KEY_PEPPERS[number], purpose) for number in numbers])


@lru_cache(maxsize=16)
def _fernet(pepper: bytes, purpose: bytes) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(pepper)
    return Fernet(base64.urlsafe_b64encode(derived))
