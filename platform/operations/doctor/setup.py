"""Settings, and the base model's files beside them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings

from operations import settings_checks
from operations.doctor.findings import Finding, fault, fault_or_ok, note, ok


def check_settings() -> Iterator[Finding]:
    """Compare the settings with each other. A process with weak secrets does not start (secret_checks)."""
    faults = [fault("settings", one.msg, one.hint or "") for one in settings_checks.find_faults()]
    yield from faults
    if not faults:
        yield ok("settings", "consistent")
    if not settings.SECURE:
        yield note(
            "settings",
            f"SITE_URL is {settings.SITE_URL}, without TLS",
            "This is fine on your own machine. Otherwise put a TLS proxy in front and set SITE_URL "
            "to https://….",
        )
    elif not settings.TRUSTED_PROXIES:
        yield note(
            "settings",
            "TRUSTED_PROXIES is empty, so all clients appear to have the proxy's address and share "
            "its limits",
            "Set it to the proxy's address as seen by the site.",
        )
    if settings.WEB_WORKERS >= settings.ENGINE_MAX_LORAS:
        yield note(
            "settings",
            f"WEB_WORKERS is {settings.WEB_WORKERS}, with {settings.ENGINE_MAX_LORAS} slots per engine",
            "Set WEB_WORKERS lower than ENGINE_MAX_LORAS: each process uses at least one slot.",
        )


def check_base_model() -> Iterator[Finding]:
    """Look for the base model's tokenizer, which counts prompts, and its config."""
    folder = settings.BASE_MODEL_DIR
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    yield fault_or_ok(
        "base model",
        f"{folder} is missing {' and '.join(missing)}" if missing else "",
        "Run engine/prepare.py, or set BASE_MODEL_DIR to the model's folder.",
        well=f"{settings.BASE_MODEL} in {folder}",
    )


def site_hosts() -> list[tuple[str, int]]:
    """Return host and port of each address of ours that has TLS."""
    hosts = []
    for address in (settings.SITE_URL, settings.S3_PUBLIC_ENDPOINT_URL or ""):
        parts = urlsplit(address)
        if parts.scheme == "https" and parts.hostname:
            hosts.append((parts.hostname, parts.port or 443))
    return hosts
