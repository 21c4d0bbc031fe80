"""What a public site must not start with: secrets that are known, short or used twice, and no mail."""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

LEAST_CHARACTERS = 32  # 16 bytes in hex
LEAST_DIFFERENT = 8  # characters: a random hex text of 32 has fewer once in 10⁶
KNOWN = ("change-me", "changeme", "insecure", "password", "secret", "example", "polyscribe")
TEXTS = ("DJANGO_SECRET_KEY", "CACHE_SALT_SECRET", "ENGINE_API_KEY", "AWS_SECRET_ACCESS_KEY")
ADDRESSES = ("DATABASE_URL", "VALKEY_URL", "CELERY_BROKER_URL")
MAKE = "`make secrets` writes good ones."


def refuse_weak(variables: Mapping[str, str]) -> None:
    """Raise SystemExit with everything that a public site must not start with."""
    found = weaknesses(variables)
    if found:
        raise SystemExit(
            "This site is public (SITE_URL is https) and does not start:\n- " + "\n- ".join(found)
        )


def weaknesses(variables: Mapping[str, str]) -> list[str]:
    """Return what is wrong, a sentence each; empty for a site that isn't public, or is well set.

    No sentence repeats a secret.
    """
    if not variables["SITE_URL"].startswith("https://"):
        return []
    secrets = dict(_secrets(variables))
    found = [fault for name, secret in secrets.items() if (fault := _fault_of(name, secret))]
    names_of: dict[str, list[str]] = {}
    for name, secret in secrets.items():
        names_of.setdefault(secret, []).append(name)
    for secret, names in names_of.items():
        if secret and len(names) > 1:
            found.append(f"{' and '.join(names)} are equal: give each a secret of its own. {MAKE}")
    return [*found, *_other_faults(variables)]


def _secrets(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in TEXTS:
        if variables.get(name) or name not in _may_lack(variables):
            yield name, variables.get(name, "")
    for item in filter(None, variables.get("API_KEY_PEPPERS", "").split(",")):
        number, _, pepper = item.strip().partition(":")
        yield f"API_KEY_PEPPERS (number {number})", pepper
    servers = set()
    for name in ADDRESSES:
        address = urlsplit(variables.get(name, ""))
        server = (address.hostname, address.port)
        if server not in servers:  # Valkey's two databases have one password
            servers.add(server)
            yield f"the password in {name}", unquote(address.password or "")


def _may_lack(variables: Mapping[str, str]) -> set[str]:
    """Return what may be empty: S3 by the machine's own role, and Ray, which knows no key."""
    is_ray = variables.get("ENGINE_KIND") == "ray"
    return {"AWS_SECRET_ACCESS_KEY", "ENGINE_API_KEY"} if is_ray else {"AWS_SECRET_ACCESS_KEY"}


def _fault_of(name: str, secret: str) -> str:
    if not secret:
        return f"{name} is missing. {MAKE}"
    if any(word in secret.lower() for word in KNOWN):
        return f"{name} is a known one, or looks like an example. {MAKE}"
    if len(secret) < LEAST_CHARACTERS:
        return f"{name} is short: it needs {LEAST_CHARACTERS} characters. {MAKE}"
    if len(set(secret)) < LEAST_DIFFERENT:
        return f"{name} is not random. {MAKE}"
    return ""


def _other_faults(variables: Mapping[str, str]) -> Iterator[str]:
    mail = urlsplit(variables.get("EMAIL_URL", ""))
    if mail.scheme != "smtp" or not mail.hostname:
        yield (
            "EMAIL_URL names no mail server (smtp://user:password@host:port): nobody could confirm an "
            "address, and reset links would lie in files or logs."
        )
    for name in ("MAILBOX", "DJANGO_DEBUG"):
        if variables.get(name) == "1":
            yield f"{name}=1 is for a demo: it shows strangers what they must not see."
