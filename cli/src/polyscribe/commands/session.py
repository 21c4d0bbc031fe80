"""What every command starts with: a client, and the options that all of them have."""

import sys
import time
from dataclasses import dataclass, field
from typing import Annotated, cast

import httpx
import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.errors import NotConfirmed
from polyscribe.transport import RetryPolicy, Timeouts

NOTICED_WAIT_S = 3.0

JsonFlag = Annotated[bool, typer.Option("--json", help="Print only JSON, for use by programs.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
StyleArgument = Annotated[
    str,
    typer.Argument(
        metavar="STYLE",
        help="A style: brand-voice, acme/brand-voice or its id.",
        autocompletion=completion.complete_style,
    ),
]
VersionArgument = Annotated[
    int,
    typer.Argument(
        metavar="VERSION",
        min=1,
        help="The version's number.",
        autocompletion=completion.complete_version,
    ),
]


def wait_visibly(wait_s: float) -> None:
    """Wait, and say so if a person would notice."""
    if wait_s >= NOTICED_WAIT_S:
        show.print_note(f"That failed. Retrying in {wait_s:.0f} s.")
    time.sleep(wait_s)


@dataclass(frozen=True)
class Session:
    """How commands reach the service, the storage and a receiver. Tests pass ways of their own."""

    retries: RetryPolicy = field(default_factory=lambda: RetryPolicy(sleep=wait_visibly))
    profile: str = ""  # by --profile
    http_transport: httpx.BaseTransport | None = None
    storage_transport: httpx.BaseTransport | None = None
    receiver_transport: httpx.BaseTransport | None = None  # of forwarded events

    def open_client(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        profile: str = "",
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
    ) -> Client:
        """Return a client. Raises NotLoggedIn and NoSuchProfile."""
        return Client(
            api_key,
            base_url,
            profile=profile,
            retries=retries or self.retries,
            timeouts=timeouts,
            http_transport=self.http_transport,
            storage_transport=self.storage_transport,
        )


def session_of(context: typer.Context) -> Session:
    """Return the session that a command runs in."""
    return cast(Session, context.obj)


def open_client(context: typer.Context) -> Client:
    """Return a client with the stored key. Raises NotLoggedIn and NoSuchProfile."""
    session = session_of(context)
    return session.open_client(profile=session.profile)


def require_terminal(is_confirmed: bool) -> None:
    """Raise NotConfirmed, before anything is sent, if nobody can be asked and nobody said --yes."""
    if not is_confirmed and not sys.stdin.isatty():
        raise NotConfirmed


def confirm(question: str, is_confirmed: bool) -> None:
    """Ask a person before what can't be undone. Raises typer.Abort for a no."""
    if not is_confirmed:
        typer.confirm(f"{show.printable(question)} This can't be undone.", abort=True, err=True)
