"""Secrets of one data folder, made once and kept in `secrets.json`, which only its owner may read."""

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

from stack.folders import private


def _secret() -> str:
    return field(default_factory=lambda: secrets.token_hex(32))


@dataclass(frozen=True)
class Credentials:
    """Passwords and keys of one stack, as hex."""

    postgres_password: str = _secret()
    valkey_password: str = _secret()
    s3_access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    s3_secret_key: str = _secret()
    seaweed_signing: str = _secret()
    seaweed_signing_read: str = _secret()
    seaweed_filer_signing: str = _secret()
    seaweed_filer_signing_read: str = _secret()
    django_secret_key: str = _secret()
    api_key_pepper: str = _secret()
    cache_salt: str = _secret()
    watermark_key: str = field(default_factory=lambda: secrets.token_hex(8))
    receipt_key: str = _secret()
    engine_api_key: str = _secret()

    @classmethod
    def of(cls, var: Path) -> Self:
        """Return the folder's secrets; those it lacks are made and written down first."""
        file = var / "secrets.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        names = {one.name for one in fields(cls)}
        made = cls(**{name: value for name, value in known.items() if name in names})
        if names - known.keys():
            _write(file, json.dumps(known | asdict(made), indent=2))
        return made


def _write(file: Path, text: str) -> None:
    """Write a private file in one move, so that a crash leaves the old one or the new one."""
    new = file.with_suffix(".new")
    with open(new, "w", opener=private) as out:
        out.write(text)
    new.replace(file)
