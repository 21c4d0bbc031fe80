"""What arguments may be. They are checked as they are read, so a wrong one is told before any log-in."""

import re
import sys
from datetime import date, datetime
from enum import Enum
from pathlib import Path

from typer import BadParameter

from polyscribe.commands.show import parse_time

GROUPS = ("day", "style", "key", "version")


class Scope(str, Enum):
    """What a key may do; a test compares these with the service's."""

    INFERENCE = "inference"
    STYLES_READ = "styles:read"
    STYLES_WRITE = "styles:write"
    KEYS_WRITE = "keys:write"
    USAGE_READ = "usage:read"
    BILLING_READ = "billing:read"
    MEMBERS_WRITE = "members:write"
    WEBHOOKS_WRITE = "webhooks:write"
    ADMIN = "admin"


def read_groups(written: str) -> str:
    groups = [group.strip() for group in written.split(",")]
    for group in groups:
        if group not in GROUPS:
            raise BadParameter(f"“{group}” is not one of {', '.join(GROUPS)}.")
    return ",".join(groups)


def read_day(written: str) -> str:
    try:
        if written:
            date.fromisoformat(written)
    except ValueError:
        raise BadParameter(f"“{written}” is not a date. Use the form 2026-11-01.") from None
    return written


def read_end(written: str) -> str:
    """Return when something ends, or never."""
    try:
        if not written or written == "never" or parse_time(written) > datetime.now().astimezone():
            return written
    except (ValueError, TypeError):  # a time without its zone
        pass
    raise BadParameter(
        f"“{written}” is not a time in the future. Use the form 2027-01-01T00:00:00Z, or never."
    )


def read_event_types(written: list[str] | None) -> list[str] | None:
    for event_type in written or ():
        if not re.fullmatch(r"[a-z_]+\.[a-z_]+", event_type):
            raise BadParameter(f"“{event_type}” is not an event type such as version.serving.")
    return written


def read_version_name(written: str) -> str:
    if not re.fullmatch(r"live|canary|[1-9][0-9]*", written):
        raise BadParameter(f"“{written}” is not a version. Use a number, live or canary.")
    return written


def read_api_path(written: str) -> str:
    if not written.startswith("/") or written.startswith("//"):
        raise BadParameter("use a path of the API, such as /styles or /v1/models.")
    return written


def read_https(written: str) -> str:
    return _require_scheme(written, "https://", "http://")


def read_local_address(written: str) -> str:
    return _require_scheme(written, "http://", "https://")


def _require_scheme(written: str, *schemes: str) -> str:
    if not written.startswith(schemes) or written in schemes:
        raise BadParameter(f"“{written}” is not a URL. It must start with {' or '.join(schemes)}.")
    return written


def read_text(file: Path) -> str:
    """Return a file's text, or that of stdin for `-`."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadParameter(f"{file} can't be read. Name a file, such as draft.txt.") from error
    except UnicodeDecodeError as error:
        raise BadParameter(f"{file} is not a plain text in UTF-8.") from error
