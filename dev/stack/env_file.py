"""`make secrets`: write `.env` from `.env.example`, every secret in it made at random.

Needs nothing but Python: a server may have docker and no environment of ours.
What `.env` says already is kept.
"""

import os
import re
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"
FILE = ROOT / ".env"
FOLDER = ROOT / "secrets"
PINNED = ROOT / "docker-compose.digests.yml"
NAMED_IN = (ROOT / "docker-compose.yml", ROOT / "Dockerfile")
NAMED = re.compile(r"^ *(?:image:|ARG PYTHON_IMAGE=) *(?:&\S+ +)?(\S+:\S+)$", re.MULTILINE)
MIN_CHARACTERS = 18  # of those that are made here, the shortest


def _hex() -> str:
    return secrets.token_hex(32)


SECRETS: Mapping[str, Callable[[], str]] = {
    "DJANGO_SECRET_KEY": _hex,
    "POSTGRES_PASSWORD": _hex,
    "VALKEY_PASSWORD": _hex,
    "S3_ACCESS_KEY": lambda: secrets.token_hex(10),
    "S3_SECRET_KEY": _hex,
    "SEAWEED_JWT_KEY": _hex,
    "API_KEY_PEPPERS": lambda: f"1:{_hex()}",
    "CACHE_SALT_SECRET": _hex,
    "WATERMARK_KEYS": lambda: f"1:{secrets.token_hex(8)}",  # vLLM takes 64 bits
    "RECEIPT_KEYS": lambda: f"1:{_hex()}",
    "ENGINE_API_KEY": _hex,
    "GRAFANA_PASSWORD": _hex,
}
DEFAULTS: Mapping[str, str] = {"POSTGRES_ROLE": "polyscribe"}  # of those that the files' contents name
# What containers read as files: each file's name and its content, of values of `.env`.
FILES: Mapping[str, str] = {
    "django_secret_key": "{DJANGO_SECRET_KEY}",
    "django_secret_key_fallbacks": "{DJANGO_SECRET_KEY_FALLBACKS}",
    "postgres_password": "{POSTGRES_PASSWORD}",
    "valkey_password": "{VALKEY_PASSWORD}",
    "database_url": "postgres://{POSTGRES_ROLE}:{POSTGRES_PASSWORD}@postgres:5432/polyscribe",
    "valkey_url": "redis://:{VALKEY_PASSWORD}@valkey:6379/0",
    "celery_broker_url": "redis://:{VALKEY_PASSWORD}@valkey:6379/1",
    "s3_secret_key": "{S3_SECRET_KEY}",
    # Whose signatures SeaweedFS accepts, in its own form. From variables, its log would show the key's id.
    "s3_identities": (
        '{{"identities": [{{"name": "site", "credentials": [{{"accessKey": "{S3_ACCESS_KEY}", '
        '"secretKey": "{S3_SECRET_KEY}"}}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}'
    ),
    "api_key_peppers": "{API_KEY_PEPPERS}",
    "cache_salt_secret": "{CACHE_SALT_SECRET}",
    "watermark_keys": "{WATERMARK_KEYS}",
    "receipt_keys": "{RECEIPT_KEYS}",
    "engine_api_key": "{ENGINE_API_KEY}",
    "engine_api_key_fallbacks": "{ENGINE_API_KEY_FALLBACKS}",
    "grafana_password": "{GRAFANA_PASSWORD}",
}


def values_of(text: str) -> dict[str, str]:
    """Return what an env file sets, by name."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, value in pairs}


def filled(text: str) -> str:
    """Return the env file `text` with every secret that is empty or absent made at random."""
    known = values_of(text)
    lines = text.splitlines()
    for index, line in enumerate(lines):
        name = line.partition("=")[0].strip()
        if name in SECRETS and not known[name]:
            lines[index] = f"{name}={SECRETS[name]()}"
    absent = [name for name in SECRETS if name not in known]
    return "\n".join([*lines, *(f"{name}={SECRETS[name]()}" for name in absent)]) + "\n"


def write(file: Path, example: Path = EXAMPLE) -> list[str]:
    """Write the env file, for its owner alone, and return what a person should know, a line each."""
    before = file.read_text() if file.exists() else example.read_text()
    after = filled(before)
    new = file.with_name(f"{file.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(after)
    new.chmod(0o600)  # a leftover of a crash keeps its mode when it is opened
    new.replace(file)

    was = values_of(before)
    now = values_of(after)
    made = [name for name in SECRETS if not was.get(name)]
    lines = [f"Generated: {', '.join(made)}"] if made else ["No secrets were missing. Nothing was changed."]
    lines += [f"{name} is {weakness}: change it." for name, weakness in find_weak(now)]
    empty = [name for name, value in now.items() if not value and name != "HF_TOKEN"]
    lines += [f"Still empty: {', '.join(empty)}"] if empty else []
    return lines


def find_weak(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, what is wrong) of each weak secret. The site refuses its own; nobody judges the others."""
    first_names: dict[str, str] = {}
    for name in SECRETS:
        value = values[name]
        first_name = first_names.setdefault(value, name)
        if len(value) < MIN_CHARACTERS:
            yield name, f"short, with less than {MIN_CHARACTERS} characters"
        elif first_name != name:
            yield name, f"equal to {first_name}"


def write_files(folder: Path, values: Mapping[str, str]) -> None:
    """Write the secrets' files as `.env` has them by now; a change of `.env` needs this again.

    Their folder is for its owner alone. Within it they are for everybody: a container's user, whom the host
    does not know, reads the file that is bound into it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    given = {name: value for name, value in values.items() if value}
    known = defaultdict(str, {**DEFAULTS, **given})
    for name, template in FILES.items():
        write_in_place(folder / name, template.format_map(known))


def write_in_place(file: Path, text: str) -> None:
    """Write a file that stays the same inode: it is bound into containers, which would keep the old one."""
    if file.exists():
        file.chmod(0o600)
    content = text.encode()
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0) as out:
        out.write(content)
        out.truncate()
    file.chmod(0o444)


def find_stale_pins(pinned: str, *named_in: str) -> list[str]:
    """Return the images that the pinned compose file holds and this version no longer names."""
    named = {name for text in named_in for name in NAMED.findall(text)}
    return sorted({name for name in re.findall(r"(\S+)@sha256:", pinned) if name not in named})


def main() -> None:
    for line in write(FILE):
        print(line)
    write_files(FOLDER, values_of(FILE.read_text()))
    print(f"{FOLDER.name}/ contains the files that containers read. Run this again after you change .env.")
    print(f"{FILE.name} is readable only by you. Fill in the rest, then run: docker compose up -d")
    stale = find_stale_pins(PINNED.read_text(), *map(Path.read_text, NAMED_IN)) if PINNED.exists() else []
    if stale:
        sys.exit(
            f"{PINNED.name} holds {', '.join(stale)}, which this version no longer names, and would take the "
            "older images instead: take this version's file, or delete it."
        )


if __name__ == "__main__":
    main()
