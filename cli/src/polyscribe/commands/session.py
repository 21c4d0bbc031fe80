"""What every command starts with: a client, the parameters that several have, and what arguments may be.

Arguments are checked as they are read, so a wrong one is told before any log-in.
"""

import re
import sys
import time
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import typer
from typer import Argument, BadParameter, Option

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.show import parse_time
from polyscribe.errors import NotConfirmed
from polyscribe.transport import RetryPolicy

NOTICED_WAIT_S = 3.0

JsonFlag = Annotated[bool, Option("--json", help="Print only JSON, for use by programs.")]
YesFlag = Annotated[bool, Option("--yes", "-y", help="Don't ask for confirmation.")]
StyleArgument = Annotated[
    str,
    Argument(
        metavar="STYLE",
        help="A style: brand-voice, acme/brand-voice or its id.",
        autocompletion=completion.complete_style,
    ),
]
VersionArgument = Annotated[
    int,
    Argument(
        metavar="VERSION", min=1, help="The version's number.", autocompletion=completion.complete_version
    ),
]
TextArgument = Annotated[Path, Argument(metavar="FILE", help="A plain text; - reads it from stdin.")]


def wait_visibly(wait_s: float) -> None:
    """Wait, and say so if a person would notice."""
    if wait_s >= NOTICED_WAIT_S:
        show.print_note(f"That failed. Retrying in {wait_s:.0f} s.")
    time.sleep(wait_s)


@dataclass(frozen=True)
class Session:
    """How commands reach the service, the storage and a receiver of events. Tests pass ways of their own."""

    retries: RetryPolicy = field(default_factory=lambda: RetryPolicy(sleep=wait_visibly))
    profile: str = ""  # by --profile
    http_transport: httpx.BaseTransport | None = None

    def open_client(self, **others: Any) -> Client:
        """Return a client, with other arguments than the session's. Raises NotLoggedIn and NoSuchProfile."""
        own = {"profile": self.profile, "retries": self.retries, "http_transport": self.http_transport}
        return Client(**{**own, **others})


def session_of(context: typer.Context) -> Session:
    return cast(Session, context.obj)


def open_client(context: typer.Context) -> Client:
    """Return a client with the stored key. Raises NotLoggedIn and NoSuchProfile."""
    return session_of(context).open_client()


def require_terminal(is_confirmed: bool, message: str = "") -> None:
    """Raise NotConfirmed, before anything is sent, if nobody can be asked and nobody said --yes."""
    if not is_confirmed and not sys.stdin.isatty():
        raise NotConfirmed(message)


def confirm(question: str, is_confirmed: bool) -> None:
    """Ask a person before what can't be undone. Raises typer.Abort for a no."""
    if not is_confirmed:
        typer.confirm(f"{show.printable(question)} This can't be undone.", abort=True, err=True)


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
    DRAFTS_WRITE = "drafts:write"
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
