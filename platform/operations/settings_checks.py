"""What a process must not start with: settings that contradict each other.

They are Django's system checks, for commands; `refuse_half_configured` is for servers, which run no checks.
Each looks at settings alone: a database that is away is no reason not to start. A value that is wrong by
itself is refused where it is read (config/variables.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register


@register("polyscribe")
def check_settings(app_configs: Any = None, **_: Any) -> Sequence[CheckMessage]:
    """Return every contradiction, and what a public site should not lack."""
    return [*find_faults(), *find_gaps()]


def find_gaps() -> list[CheckMessage]:
    """Return what a public site lacks, and works without."""
    if not settings.SECURE or settings.SUPPORT_EMAIL:
        return []
    return [
        Warning(
            "SUPPORT_EMAIL is empty, so customers have no contact for billing questions.",
            hint="Set it to an address that someone reads.",
            id="polyscribe.no_support",
        )
    ]


def find_remarks() -> list[CheckMessage]:
    """Return what may be meant so: the doctor names it, and commands don't."""
    remarks: list[CheckMessage] = []
    if not settings.SECURE:
        remarks.append(
            Info(
                f"SITE_URL is {settings.SITE_URL}, without TLS",
                hint="This is fine on your own machine. Otherwise put a TLS proxy in front and set SITE_URL "
                "to https://….",
            )
        )
    elif not settings.TRUSTED_PROXIES:
        remarks.append(
            Info(
                "TRUSTED_PROXIES is empty, so all clients appear to have the proxy's address and share its "
                "limits",
                hint="Set it to the proxy's address as seen by the site.",
            )
        )
    if settings.WEB_WORKERS >= settings.ENGINE_MAX_LORAS:
        remarks.append(
            Info(
                f"WEB_WORKERS is {settings.WEB_WORKERS}, with {settings.ENGINE_MAX_LORAS} slots per engine",
                hint="Set WEB_WORKERS lower than ENGINE_MAX_LORAS: each process uses at least one slot.",
            )
        )
    return remarks


def find_faults() -> list[CheckMessage]:
    """Return every contradiction between settings, each with how to mend it."""
    return [Error(message, hint=hint, id=f"polyscribe.{name}") for name, message, hint in _contradictions()]


def refuse_half_configured(*, sends_mail: bool = False) -> None:
    """Raise SystemExit with every contradiction, if there is one, and for a process that can't send its mail.

    Only what sends mail has the mail server's password, so it is no fault of others.
    """
    faults = find_faults()
    if sends_mail and settings.SECURE and not settings.HAS_MAIL_SERVER:
        faults.append(
            Error(
                "EMAIL_URL is empty, so nobody could confirm an address.",
                hint="Set it to smtp://user:password@host:port.",
                id="polyscribe.no_mail",
            )
        )
    if faults:
        lines = [f"{fault.msg} {fault.hint}" for fault in faults]
        raise SystemExit("This process can't start:\n- " + "\n- ".join(lines))


def _contradictions() -> Iterator[tuple[str, str, str]]:
    site = urlsplit(settings.SITE_URL)
    if site.path:
        yield "site_url", f"SITE_URL has a path, {site.path}.", "The site must have its own host name."
    if not settings.API_KEY_PEPPERS:
        yield "no_pepper", "API_KEY_PEPPERS is empty.", "Set it to 1:HEX. `make secrets` generates one."
    elif settings.API_KEY_PEPPER not in {None, *settings.API_KEY_PEPPERS}:
        yield (
            "unknown_pepper",
            f"API_KEY_PEPPER is {settings.API_KEY_PEPPER}, which is not in API_KEY_PEPPERS.",
            "Use the number of an existing pepper, or leave it empty for the highest one.",
        )
    if settings.WATERMARK == "required" and not settings.WATERMARK_KEYS:
        yield (
            "no_watermark_key",
            "WATERMARK is required, but WATERMARK_KEYS is empty.",
            "Run `make secrets`, or set it to 1:HEX with 16 hex digits, here and for the engines.",
        )
    storage = urlsplit(settings.S3_PUBLIC_ENDPOINT_URL or "")
    if settings.SECURE and storage.scheme == "http":
        yield (
            "mixed_content",
            "SITE_URL uses https but S3_PUBLIC_ENDPOINT_URL uses http, so browsers block uploads.",
            "Serve the storage over TLS as well.",
        )
    if not settings.S3_BUCKET:
        yield "no_bucket", "S3_BUCKET is empty.", "Set it to the bucket for all adapters."
    if settings.ENGINE_MAX_CPU_LORAS < settings.ENGINE_MAX_LORAS:
        yield (
            "engine_memory",
            "ENGINE_MAX_CPU_LORAS is lower than ENGINE_MAX_LORAS, so vLLM can't start.",
            "Set it to at least the same number.",
        )
