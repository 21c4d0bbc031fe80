"""Refuse to start a public site with secrets that are known, short or used twice, or without mail."""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from config.env import VARIABLES, find, split_items

MIN_CHARACTERS = 32  # 16 bytes in hex
MIN_DISTINCT_CHARACTERS = 8  # a random hex text of 32 has fewer once in 10⁶
KNOWN_WORDS = ("change-me", "changeme", "insecure", "password", "secret", "example", "polyscribe")
DEMO_FLAGS = ("MAILBOX", "DJANGO_DEBUG")
ADVICE = "`make secrets` generates strong ones."


def refuse_weak() -> None:
    """Raise SystemExit with every weakness that a public site must not start with."""
    weaknesses = find_weaknesses({name: find(name) or "" for name in VARIABLES})
    if weaknesses:
        raise SystemExit(
            "This site is public (SITE_URL is https) and can't start:\n- " + "\n- ".join(weaknesses)
        )


def find_weaknesses(variables: Mapping[str, str]) -> list[str]:
    """Return a sentence for each weakness; none for a site that isn't public.

    No sentence repeats a secret.
    """
    if urlsplit(variables["SITE_URL"]).scheme != "https":  # in whatever letters it is written
        return []
    secrets = dict(_list_secrets(variables))
    judged = [_judge_secret(name, secret) for name, secret in secrets.items()]
    weaknesses = list(filter(None, judged))
    weaknesses += _find_equal_secrets(secrets)
    weaknesses += _find_other_weaknesses(variables)
    return weaknesses


def _list_secrets(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name for people, secret) of each row that has to be strong; empty for one that is missing."""
    optional = _optional_secrets(variables)
    servers = set()
    for name, row in VARIABLES.items():
        value = variables.get(name, "")
        if row.secret != "strong" or (name in optional and not value):
            continue
        if row.kind == "URL":
            url = urlsplit(value)
            if (url.hostname, url.port) not in servers:  # Valkey's two databases have one password
                yield f"the password in {name}", unquote(url.password or "")
            servers.add((url.hostname, url.port))
        elif row.kind == "keys":
            for item in split_items(value):
                number, _, key = item.partition(":")
                yield f"{name} (number {number})", key
        elif row.kind == "list":
            # What signs sessions still. The key itself is among them while it is being replaced.
            for place, secret in enumerate(value.split(","), 1):
                if secret.strip() not in ("", variables.get("DJANGO_SECRET_KEY")):
                    yield f"{name} (number {place})", secret.strip()
        else:
            yield name, value


def _optional_secrets(variables: Mapping[str, str]) -> set[str]:
    """Return which secrets may be empty."""
    # A cloud machine's role can open S3 without a secret, and Ray knows no key.
    if variables.get("ENGINE_KIND") == "ray":
        return {"AWS_SECRET_ACCESS_KEY", "ENGINE_API_KEY"}
    return {"AWS_SECRET_ACCESS_KEY"}


def _judge_secret(name: str, secret: str) -> str:
    """Return what is wrong with one secret; empty for a good one."""
    if not secret:
        return f"{name} is missing. {ADVICE}"
    if any(word in secret.lower() for word in KNOWN_WORDS):
        return f"{name} is a publicly known value or looks like an example. {ADVICE}"
    if len(secret) < MIN_CHARACTERS:
        return f"{name} is too short: it needs {MIN_CHARACTERS} characters. {ADVICE}"
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS:
        return f"{name} is not random. {ADVICE}"
    return ""


def _find_equal_secrets(secrets: Mapping[str, str]) -> Iterator[str]:
    names_by_secret: dict[str, list[str]] = {}
    for name, secret in secrets.items():
        names_by_secret.setdefault(secret, []).append(name)
    for secret, names in names_by_secret.items():
        if secret and len(names) > 1:
            yield f"{' and '.join(names)} are the same. Use a different secret for each. {ADVICE}"


def _find_other_weaknesses(variables: Mapping[str, str]) -> Iterator[str]:
    # Without one a process sends no mail; those that do refuse to start then (settings_checks).
    mail = urlsplit(variables.get("EMAIL_URL", ""))
    if mail.geturl() and (mail.scheme != "smtp" or not mail.hostname):
        yield (
            "EMAIL_URL is not a mail server (smtp://user:password@host:port), so reset links would end up in "
            "files or logs."
        )
    if variables.get("STRIPE_API_BASE"):
        yield "STRIPE_API_BASE is for tests only: that server decides what counts as paid."
    if variables.get("STRIPE_SECRET_KEY") and not variables.get("STRIPE_WEBHOOK_SECRET"):
        yield "STRIPE_WEBHOOK_SECRET is missing, so card payments would show up minutes late."
    for name in DEMO_FLAGS:
        if variables.get(name) == "1":
            yield f"{name}=1 is for demos only: it shows private data to strangers."
