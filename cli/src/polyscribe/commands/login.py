"""`login`, `logout`, `whoami`: which service, which key, whose."""

import os
import sys
from typing import Annotated, Any

import typer

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, open_client, session_of
from polyscribe.settings import (
    ADDRESS_VARIABLE,
    KEY_VARIABLE,
    Settings,
    clean_address,
    delete_settings,
    save_settings,
)

LOOPBACK = ("http://localhost", "http://127.0.0.1", "http://[::1]")


def add_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


def login(
    context: typer.Context,
    base_url: Annotated[
        str, typer.Option("--base-url", envvar=ADDRESS_VARIABLE, help="The service's address.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Store a service's address and an API key, once the service knows the key.

    The key is asked for, or read from stdin or POLYSCRIBE_API_KEY; never from an option, which others see.
    """
    address = clean_address(base_url or typer.prompt("Address of the service", err=True))
    if address.startswith("http://") and not address.startswith(LOOPBACK):
        show.print_note("Over http:// others on the way can read the key. Use https:// where you can.")
    api_key = read_key()
    if not api_key:
        raise typer.BadParameter("no API key was given. Make one in the studio, on the page API keys.")
    with session_of(context).open_client(api_key, address) as client:
        key = client.whoami()
    file = save_settings(Settings(address, api_key, key["workspace"]["slug"]))
    if as_json:
        return show.print_json(key)
    show.print_line(f"Logged in to {key['workspace']['name']} with the key “{key['name']}”.")
    show.print_note(f"The key is in {file}, which only you can read.")


def logout(as_json: JsonFlag = False) -> None:
    """Forget the stored key. It stays valid: revoke it if nobody needs it any more."""
    was_logged_in = delete_settings()
    if as_json:
        return show.print_json({"was_logged_in": was_logged_in})
    show.print_line("The key is forgotten." if was_logged_in else "No key was stored.")


def whoami(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the key, its workspace, what it may do, and what is left of its limits."""
    with open_client(context) as client:
        key = client.whoami()
        address = client.settings.base_url
    if as_json:
        return show.print_json(key)
    rows = [
        ("service", address),
        ("workspace", f"{key['workspace']['name']} ({key['workspace']['slug']})"),
        ("key", f"{key['name']} {key['hint']}"),
        ("scopes", ", ".join(key["scopes"])),
        ("styles", ", ".join(key["styles"]) or "none yet"),
    ]
    show.print_table(("", ""), [*rows, *limit_rows(key["limits"])])


def limit_rows(limits: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a row for each limit that is set: what is left of the key's, or else of the workspace's."""
    rows = []
    for owner in ("key", "workspace"):
        for name, state in limits.get(owner, {}).items():
            if state.get("limit") is not None:
                title = f"{owner}: {name.replace('_', ' ')}"
                rows.append((title, f"{state['remaining']:,} of {state['limit']:,} left"))
    return rows


def read_key() -> str:
    """Return the API key from the environment, from a person who types it unseen, or from stdin."""
    given = os.environ.get(KEY_VARIABLE, "")
    if given:
        return given.strip()
    if sys.stdin.isatty():
        typed: str = typer.prompt("API key", hide_input=True, err=True)
        return typed.strip()
    return sys.stdin.readline().strip()
