"""`login`, `logout`, `whoami`, `profiles`: which service, which key, whose; one login for each workspace.

The login by a browser is that of https://www.rfc-editor.org/rfc/rfc8628; it ends with a key of the workspace.
"""

import os
import platform
import sys
from dataclasses import replace
from typing import Annotated

import typer
from typer import Argument, BadParameter, Context, Option, Typer

from polyscribe.commands import completion, show
from polyscribe.commands.factory import Command, Facts
from polyscribe.commands.session import JsonFlag, Scope, session_of
from polyscribe.errors import LoginExpired, LoginRefused, NotFound, Object
from polyscribe.settings import (
    ADDRESS_VARIABLE,
    KEY_VARIABLE,
    Settings,
    clean_address,
    delete_settings,
    hint_of,
    load_profiles,
    save_settings,
)
from polyscribe.transport import Transport

MOST_NAME = 60  # characters of a key's name
# What the commands need; nothing that would change people or the workspace.
ASKED_SCOPES = ["inference", "styles:read", "styles:write", "usage:read", "keys:write", "webhooks:write"]
LOOPBACK = ("http://localhost", "http://127.0.0.1", "http://[::1]")
profiles_app = Typer(
    name="profiles", help="Manage the logins on this machine, one per workspace.", no_args_is_help=True
)


def login(
    context: Context,
    base_url: Annotated[str, Option("--base-url", envvar=ADDRESS_VARIABLE, help="URL of the service.")] = "",
    with_key: Annotated[
        bool, Option("--with-key", help="Enter an API key instead of confirming a code in a browser.")
    ] = False,
    scope: Annotated[
        list[Scope] | None,
        Option(
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
    scopes = [one.value for one in scope] if scope else ASKED_SCOPES
    api_key = log_in_by_browser(context, address, scopes) if by_browser else read_key()
    if not api_key:
        raise BadParameter("no API key given. Create one on the API keys page.")
    session = session_of(context)
    with session.open_client(api_key=api_key, base_url=address, profile="") as client:
        key = client.whoami()
    file = save_settings(Settings(address, api_key, key["workspace"]["slug"]), session.profile)
    if as_json:
        return show.print_json(key)
    show.print_line(f"Logged in to {key['workspace']['name']} with the key “{key['name']}”.")
    show.print_note(f"The key is stored in {file}, which only you can read.")
    if key["styles"]:
        show.print_note(f"Try it: polyscribe chat --style {key['styles'][0]} “Describe the rain.”")


def log_in_by_browser(context: Context, address: str, scopes: list[str]) -> str:
    """Return the secret of a new key that a person confirmed in a browser."""
    session = session_of(context)
    service = Settings(address, "")
    with Transport(service, retries=session.retries, http_transport=session.http_transport) as transport:
        name = f"CLI on {platform.node() or 'a machine'}"[:MOST_NAME]
        begun = transport.post("/logins", {"name": name, "scopes": scopes})
        show.print_note(f"Your code: {begun['user_code']}")
        show.print_note(f"Confirm it in your browser: {begun['verification_url']}")
        typer.launch(begun["verification_url_complete"])
        return wait_for_secret(transport, begun)


def wait_for_secret(transport: Transport, login: Object) -> str:
    """Return the key's secret, once a person has confirmed the login. Raises LoginRefused, LoginExpired."""
    retries = transport.retries
    ends_at = retries.clock() + login["expires_in_s"]
    while retries.clock() < ends_at:
        retries.sleep(login["interval_s"])
        try:
            answer = transport.post("/logins/redeem", {"device_code": login["device_code"]})
        except NotFound:
            break  # the service forgets a login that is over
        if answer["status"] == "denied":
            raise LoginRefused
        if answer["status"] != "pending":
            secret: str = answer["key"]["secret"]
            return secret
    raise LoginExpired


def logout(context: Context, as_json: JsonFlag = False) -> None:
    """Remove the stored key. It stays valid; revoke it if it is no longer needed."""
    was_logged_in = delete_settings(session_of(context).profile)
    sentence = "The key was removed." if was_logged_in else "You weren't logged in."
    show.print_answer({"was_logged_in": was_logged_in}, sentence, as_json=as_json)


def _print_key(facts: Facts) -> None:
    key = facts["answer"]
    rows = [
        ("service", facts["found"]),
        ("workspace", f"{key['workspace']['name']} ({key['workspace']['slug']})"),
        ("key", f"{key['name']} {key['hint']}"),
        ("scopes", ", ".join(key["scopes"])),
        ("styles", ", ".join(key["styles"]) or "none yet"),
    ]
    for owner in ("key", "workspace"):
        for name, state in key["limits"].get(owner, {}).items():
            # `included_tokens` is null where nothing is known of them yet.
            if isinstance(state, dict) and state.get("limit") is not None:
                title = f"{owner}: {name.replace('_', ' ')}"
                rows.append((title, f"{state['remaining']:,} of {state['limit']:,} left"))
    show.print_pairs(rows)


WHOAMI = Command(
    "whoami",
    "Show the key, its workspace, scopes and remaining limits.",
    "GET /v1/key",
    find=lambda client, _: client.settings.base_url,
    present=_print_key,
)


def read_key() -> str:
    """Return the API key from the environment, from a person who types it unseen, or from stdin."""
    given = os.environ.get(KEY_VARIABLE, "")
    if given:
        return given.strip()
    if sys.stdin.isatty():
        typed: str = typer.prompt("API key", hide_input=True, err=True)
        return typed.strip()
    return sys.stdin.readline().strip()


@profiles_app.command("list")
def list_profiles(as_json: JsonFlag = False) -> None:
    """List the profiles. Commands use the current one unless you set --profile or POLYSCRIBE_PROFILE."""
    profiles = load_profiles()
    rows = [
        {
            "name": name,
            "is_current": name == profiles.current,
            "workspace": settings.workspace,
            "base_url": settings.base_url,
            "key_hint": hint_of(settings.api_key),
        }
        for name, settings in profiles.stored.items()
    ]
    if as_json:
        return show.print_json(rows)
    if not rows:
        return show.print_note("No profiles yet. Run polyscribe login.")
    columns: show.Columns = {
        "": lambda row: "*" if row["is_current"] else "",
        "PROFILE": "name",
        "WORKSPACE": "workspace",
        "SERVICE": "base_url",
        "KEY": "key_hint",
    }
    show.print_table(columns, rows)


@profiles_app.command("use")
def use_profile(
    name: Annotated[str, Argument(metavar="PROFILE", autocompletion=completion.complete_profile)],
    as_json: JsonFlag = False,
) -> None:
    """Switch to another profile."""
    profiles = load_profiles()
    profiles.find(name)
    replace(profiles, current=name).save()
    show.print_answer({"current": name}, f"Now using {name}.", as_json=as_json)
