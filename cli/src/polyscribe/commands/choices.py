"""What arguments may be. They are checked as they are read, so a wrong one is told before any log-in."""

import re
import sys
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from pathlib import Path

import typer

from polyscribe.commands.show import parse_time

NEVER = "never"
STDIN = "-"
EVENT_TYPE = re.compile(r"[a-z_]+\.[a-z_]+")
VERSION_NAME = re.compile(r"live|canary|[1-9][0-9]*")


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


class Kind(str, Enum):
    """How a workspace comes to a style."""

    OWN = "own"
    SHARED = "shared"
    PUBLIC = "public"
    SELECTED = "selected"


class Outcome(str, Enum):
    """What became of a request."""

    COMPLETE = "complete"
    BROKEN = "broken"
    REFUSED = "refused"


class Method(str, Enum):
    """What a request does."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Group(str, Enum):
    """By what usage is summed up."""

    DAY = "day"
    STYLE = "style"
    KEY = "key"
    VERSION = "version"


def read_groups(written: str) -> str:
    """Return groups that are separated by commas. Raises typer.BadParameter."""
    known = [group.value for group in Group]
    groups = [group.strip() for group in written.split(",")]
    for group in groups:
        if group not in known:
            raise typer.BadParameter(f"“{group}” is not one of {', '.join(known)}.")
    return ",".join(groups)


def read_day(written: str) -> str:
    """Return a day as it was written, or nothing. Raises typer.BadParameter."""
    return _read(written, date.fromisoformat, "“{written}” is not a date. Use the form 2026-11-01.")


def read_end(written: str) -> str:
    """Return when something ends, or never. Raises typer.BadParameter."""
    if written == NEVER:
        return written
    return _read(
        written,
        _future,
        "“{written}” is not a time in the future. Use the form 2027-01-01T00:00:00Z, or never.",
    )


def read_event_types(written: list[str] | None) -> list[str] | None:
    """Return types of events. Raises typer.BadParameter for what can't be one."""
    for event_type in written or ():
        if not EVENT_TYPE.fullmatch(event_type):
            raise typer.BadParameter(f"“{event_type}” is not an event type such as version.serving.")
    return written


def read_https(written: str) -> str:
    """Return an address of a receiver of events. Raises typer.BadParameter."""
    return _require_scheme(written, "https://", "http://")


def read_version_name(written: str) -> str:
    """Return a version's number, `live` or `canary`. Raises typer.BadParameter."""
    if not VERSION_NAME.fullmatch(written):
        raise typer.BadParameter(f"“{written}” is not a version. Use a number, live or canary.")
    return written


def read_api_path(written: str) -> str:
    """Return the path of an address of the API. Raises typer.BadParameter."""
    if not written.startswith("/") or written.startswith("//"):
        raise typer.BadParameter("use a path of the API, such as /styles or /v1/models.")
    return written


def read_local_address(written: str) -> str:
    """Return an address to forward to. Raises typer.BadParameter."""
    return _require_scheme(written, "http://", "https://")


def _require_scheme(written: str, *schemes: str) -> str:
    if not written.startswith(schemes) or written in schemes:
        raise typer.BadParameter(f"“{written}” is not a URL. It must start with {' or '.join(schemes)}.")
    return written


def _future(written: str) -> datetime:
    at = parse_time(written)
    if at.tzinfo is None or at <= datetime.now(at.tzinfo):
        raise ValueError(written)
    return at


def _read(written: str, parse: Callable[[str], object], sentence: str) -> str:
    if written:
        try:
            parse(written)
        except ValueError:
            raise typer.BadParameter(sentence.format(written=written)) from None
    return written


def read_text(file: Path) -> str:
    """Return a file's text. Raises typer.BadParameter for what is no text."""
    try:
        return sys.stdin.read() if str(file) == STDIN else file.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read. Name a file, such as draft.txt.") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not a plain text in UTF-8.") from error
