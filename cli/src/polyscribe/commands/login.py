"""`login`, `logout`, `whoami`: which service, which key, whose."""

import os
import platform
import sys
from typing import Annotated

import typer

from polyscribe.commands import show
from polyscribe.commands.choices import Scope
from polyscribe.commands.session import JsonFlag, open_client, session_of
from polyscribe.objects import Object
from polyscribe.resources.logins import Logins
from polyscribe.settings import (
    ADDRESS_VARIABLE,
    KEY_VARIABLE,
    Settings,
    clean_address,
    delete_settings,
    save_settings,
)

MOST_NAME = 60  # characters of a key's name
ASKED_SCOPES = (  # of what the commands need; nothing that would change people or the workspace
    Scope.INFERENCE,
    Scope.STYLES_READ,
    Scope.STYLES_WRITE,
    Scope.USAGE_READ,
    Scope.KEYS_WRITE,
    Scope.WEBHOOKS_WRITE,
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
        str, typer.Option("--base-url", envvar=ADDRESS_VARIABLE, help="URL of the service.")
    ] = "",
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Enter an API key instead of confirming a code in a browser.")
    ] = False,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope", help="Scope to request in the browser; repeat for more. You can deselect scopes there."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Log in to a workspace by confirming a code in your browser. The key is stored on this machine.

    You can also provide a key on stdin, in POLYSCRIBE_API_KEY, or type it (--with-key). It is never read
    from an option, which other users could see. Each workspace has its own profile.
    """
    address = clean_address(base_url or typer.prompt("URL of the service", err=True))
    if address.startswith("http://") and not address.startswith(LOOPBACK):
        show.print_note("Over http://, the key can be read in transit. Use https:// if possible.")
    by_browser = not with_key and not os.environ.get(KEY_VARIABLE) and sys.stdin.isatty()
    scopes = [one.value for one in scope or ASKED_SCOPES]
    api_key = log_in_by_browser(context, address, scopes) if by_browser else read_key()
    if not api_key:
        raise typer.BadParameter("no API key given. Create one on the API keys page.")
    session = session_of(context)
    with session.open_client(api_key, address) as client:
        key = client.whoami()
    file = save_settings(Settings(address, api_key, key["workspace"]["slug"]), session.profile)
    if as_json:
        return show.print_json(key)
    show.print_line(f"Logged in to {key['workspace']['name']} with the key “{key['name']}”.")
    show.print_note(f"The key is stored in {file}, which only you can read.")
    if key["styles"]:
        show.print_note(f"Try it: polyscribe chat --style {key['styles'][0]} “Describe the rain.”")


def log_in_by_browser(context: typer.Context, address: str, scopes: list[str]) -> str:
    """Return the secret of a new key that a person confirmed in a browser."""
    session = session_of(context)
    logins = Logins(address, retries=session.retries, http_transport=session.http_transport)
    try:
        begun = logins.begin(f"CLI on {platform.node() or 'a machine'}"[:MOST_NAME], scopes)
        show.print_note(f"Your code: {begun['user_code']}")
        show.print_note(f"Confirm it in your browser: {begun['verification_url']}")
        typer.launch(begun["verification_url_complete"])
        secret: str = logins.wait_for_key(begun)["secret"]
        return secret
    finally:
        logins.close()


def logout(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Remove the stored key. It stays valid; revoke it if it is no longer needed."""
    was_logged_in = delete_settings(session_of(context).profile)
    sentence = "The key was removed." if was_logged_in else "You weren't logged in."
    show.print_answer({"was_logged_in": was_logged_in}, sentence, as_json=as_json)


def whoami(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the key, its workspace, scopes and remaining limits."""
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


def limit_rows(limits: Object) -> list[tuple[str, str]]:
    """Return a row for each limit that is set: what is left of the key's, or else of the workspace's."""
    rows = []
    for owner in ("key", "workspace"):
        for name, state in limits.get(owner, {}).items():
            # `included_tokens` is null where nothing is known of them yet.
            if isinstance(state, dict) and state.get("limit") is not None:
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
