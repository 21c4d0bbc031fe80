"""What every command starts with: a client, and the parameters that several have."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import typer
from typer import Argument, Option

from polyscribe.client import Client
from polyscribe.commands import completion, show
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
