"""What every command starts with: a client, and the options that all of them have."""

import time
from dataclasses import dataclass, field
from typing import Annotated, cast

import httpx
import typer

from polyscribe.client import Client
from polyscribe.commands import show
from polyscribe.transport import RetryPolicy

NOTICED_WAIT_S = 3.0

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs, and nothing else.")]
StyleArgument = Annotated[
    str, typer.Argument(metavar="STYLE", help="A style: brand-voice, acme/brand-voice or its id.")
]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version's number.")]


def wait_visibly(wait_s: float) -> None:
    """Wait, and say so if a person would notice."""
    if wait_s >= NOTICED_WAIT_S:
        show.print_note(f"That did not work yet; trying again in {wait_s:.0f} s.")
    time.sleep(wait_s)


@dataclass(frozen=True)
class Session:
    """How commands reach the service, the storage and a receiver. Tests pass ways of their own."""

    retries: RetryPolicy = field(default_factory=lambda: RetryPolicy(sleep=wait_visibly))
    http_transport: httpx.BaseTransport | None = None
    storage_transport: httpx.BaseTransport | None = None
    receiver_transport: httpx.BaseTransport | None = None  # of forwarded events

    def open_client(self, api_key: str | None = None, base_url: str | None = None) -> Client:
        """Return a client. Raises NotLoggedIn."""
        return Client(
            api_key,
            base_url,
            retries=self.retries,
            http_transport=self.http_transport,
            storage_transport=self.storage_transport,
        )


def session_of(context: typer.Context) -> Session:
    """Return the session that a command runs in."""
    return cast(Session, context.obj)


def open_client(context: typer.Context) -> Client:
    """Return a client with the stored key. Raises NotLoggedIn."""
    return session_of(context).open_client()
