"""`keys`: the workspace's API keys."""

from typing import Annotated

import typer

from polyscribe.client import Client, is_id
from polyscribe.commands import completion, show
from polyscribe.commands.choices import Scope, read_end
from polyscribe.commands.session import JsonFlag, YesFlag, confirm, open_client, require_terminal
from polyscribe.commands.wording import moment
from polyscribe.errors import NotFound
from polyscribe.objects import Object
from polyscribe.settings import replace_key

app = typer.Typer(name="keys", help="The workspace's API keys.", no_args_is_help=True)

KeyArgument = Annotated[
    str,
    typer.Argument(metavar="KEY", help="A key's name or id.", autocompletion=completion.complete_key),
]


@app.command("list")
def list_keys(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the keys, newest first."""
    with open_client(context) as client:
        keys = list(client.keys.list())
    if as_json:
        return show.print_json(keys)
    columns = ("NAME", "HINT", "SCOPES", "STATE", "LAST USED", "EXPIRES", "ID")
    show.print_table(columns, [key_row(key) for key in keys])


@app.command("create")
def create_key(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="Scope of the key; repeat for more. Default: inference."),
    ] = None,
    monthly_tokens: Annotated[int | None, typer.Option(min=1, help="Monthly token limit of the key.")] = None,
    expires_at: Annotated[
        str,
        typer.Option(
            callback=read_end,
            help="Expiration: 2027-01-01T00:00:00Z, or never. Default: the workspace's default.",
        ),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Create a key. Its secret is shown only once, so store it safely."""
    limits = {"monthly_tokens": monthly_tokens} if monthly_tokens else None
    scopes = [one.value for one in scope or [Scope.INFERENCE]]
    with open_client(context) as client:
        key = client.keys.create(name, scopes=scopes, limits=limits, expires_at=expires_at or None)
    print_secret(key, as_json=as_json)


@app.command("rotate")
def rotate_key(
    context: typer.Context,
    *,
    key: KeyArgument,
    old_secret_hours: Annotated[
        int, typer.Option(min=0, max=168, help="How long the old secret remains valid.")
    ] = 24,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Rotate a key. The new secret is shown only once. If you're logged in with this key, it is updated."""
    require_terminal(yes)
    with open_client(context) as client:
        old = find_key(client, key)
        confirm(f"Replace the secret of “{old['name']}”? {old_lives(old_secret_hours)}", yes)
        new = client.keys.rotate(old["id"], old_secret_hours=old_secret_hours)
    print_secret(new, as_json=as_json)  # first: it can't be had again
    keep_own_secret(old, new)


@app.command("revoke")
def revoke_key(
    context: typer.Context, key: KeyArgument, yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Revoke a key permanently, effective immediately."""
    require_terminal(yes)
    with open_client(context) as client:
        found = find_key(client, key)
        confirm(f"Revoke “{found['name']}” ({found['hint']})? Programs that use it stop working.", yes)
        revoked = client.keys.revoke(found["id"])
    show.print_answer(revoked, f"The key “{revoked['name']}” was revoked.", as_json=as_json)


def find_key(client: Client, name_or_id: str) -> Object:
    """Return a live key by its id or name. Raises NotFound."""
    field = "id" if is_id(name_or_id) else "name"
    for key in client.keys.list():
        if key[field] == name_or_id and key["is_live"]:
            return key
    sentence = f"No active key “{name_or_id}”. List the keys with polyscribe keys list."
    raise NotFound(sentence, status=404, code="not_found")


def keep_own_secret(old: Object, new: Object) -> None:
    """Store the new secret if the old one is what this command line is logged in with."""
    if replace_key(old["hint"], new["secret"]):
        show.print_note("You were logged in with this key. The new secret is stored.")


def old_lives(hours: int) -> str:
    """Return how long the old secret still works."""
    return f"The old one works for {hours} more hours." if hours else "The old one stops working immediately."


def print_secret(key: Object, *, as_json: bool) -> None:
    """Print a new key's secret, alone on stdout."""
    if as_json:
        return show.print_json(key)
    show.print_line(key["secret"])
    show.print_note(f"This is the secret of “{key['name']}”. It won't be shown again.")
    if key["expires_at"]:
        show.print_note(f"It expires {moment(key['expires_at'])}, at {key['expires_at']}.")


def key_row(key: Object) -> tuple[object, ...]:
    """Return a key as a row of a table."""
    state = "live" if key["is_live"] else "revoked" if key["revoked_at"] else "expired"
    return (
        key["name"],
        key["hint"],
        ", ".join(key["scopes"]),
        state,
        moment(key["last_used_at"], never="never"),
        moment(key["expires_at"], never="never"),
        key["id"],
    )
