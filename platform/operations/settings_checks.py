"""What a process must not start with: settings that contradict each other.

They are Django's system checks, for commands; `refuse_half_configured` is for servers, which run no checks.
Each looks at settings alone: a database that is away is no reason not to start.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


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
            "SUPPORT_EMAIL is empty: nobody is named whom customers could ask about money.",
            hint="Set it to an address that somebody reads.",
            id="polyscribe.no_support",
        )
    ]


def find_faults() -> list[CheckMessage]:
    """Return every contradiction between settings, each with how to mend it."""
    return [Error(message, hint=hint, id=f"polyscribe.{name}") for name, message, hint in _contradictions()]


def refuse_half_configured() -> None:
    """Raise SystemExit with every contradiction, if there is one."""
    faults = find_faults()
    if faults:
        lines = [f"{fault.msg} {fault.hint}" for fault in faults]
        raise SystemExit("This process does not start:\n- " + "\n- ".join(lines))


def _contradictions() -> Iterator[tuple[str, str, str]]:
    yield from _wrong_addresses()
    if not settings.API_KEY_PEPPERS:
        yield "no_pepper", "API_KEY_PEPPERS has no pepper.", "Set it to 1:HEX; `make secrets` makes one."
    elif settings.API_KEY_PEPPER not in {None, *settings.API_KEY_PEPPERS}:
        yield (
            "unknown_pepper",
            f"API_KEY_PEPPER is {settings.API_KEY_PEPPER}, which API_KEY_PEPPERS lacks.",
            "Name a pepper that is there, or leave it empty for the highest one.",
        )
    storage = urlsplit(settings.S3_PUBLIC_ENDPOINT_URL or "")
    if settings.SECURE and storage.scheme == "http":
        yield (
            "mixed_content",
            "SITE_URL is https and S3_PUBLIC_ENDPOINT_URL http: browsers refuse such uploads.",
            "Give storage a name with TLS, too.",
        )
    if not settings.S3_BUCKET:
        yield "no_bucket", "S3_BUCKET is empty.", "Name the bucket of all adapters."
    if settings.ENGINE_KIND not in ("vllm", "ray"):
        yield "engine_kind", f"ENGINE_KIND is {settings.ENGINE_KIND}.", "Set it to vllm or ray."
    if settings.ENGINE_MAX_CPU_LORAS < settings.ENGINE_MAX_LORAS:
        yield (
            "engine_memory",
            "ENGINE_MAX_CPU_LORAS is below ENGINE_MAX_LORAS: vLLM refuses to start so.",
            "Raise it to as many at least.",
        )


def _wrong_addresses() -> Iterator[tuple[str, str, str]]:
    site = urlsplit(settings.SITE_URL)
    if site.scheme not in ("http", "https") or not site.hostname:
        yield "site_url", f"SITE_URL is {settings.SITE_URL}.", "Write it as https://polyscribe.example.com."
    elif site.path:
        yield "site_url", f"SITE_URL has a path, {site.path}.", "The site must have a name of its own."
    for name in ("VALKEY_URL", "CELERY_BROKER_URL"):
        if urlsplit(getattr(settings, name)).scheme not in ("redis", "rediss", "unix", "redis+socket"):
            yield (
                name.lower(),
                f"{name} is no address of Valkey.",
                "Write it as redis://:password@host:port/0.",
            )
