"""`profiles`: the logins that are stored, one for each workspace."""

from dataclasses import replace
from typing import Annotated

import typer

from polyscribe.commands import completion, show
from polyscribe.commands.session import JsonFlag
from polyscribe.settings import hint_of, load_profiles, save_profiles

app = typer.Typer(
    name="profiles", help="Manage the logins on this machine, one per workspace.", no_args_is_help=True
)


@app.command("list")
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
    cells = [
        ("*" if row["is_current"] else "", row["name"], row["workspace"], row["base_url"], row["key_hint"])
        for row in rows
    ]
    show.print_table(("", "PROFILE", "WORKSPACE", "SERVICE", "KEY"), cells)


@app.command("use")
def use_profile(
    name: Annotated[str, typer.Argument(metavar="PROFILE", autocompletion=completion.complete_profile)],
    as_json: JsonFlag = False,
) -> None:
    """Switch to another profile."""
    profiles = load_profiles()
    profiles.find(name)
    save_profiles(replace(profiles, current=name))
    show.print_answer({"current": name}, f"Now using {name}.", as_json=as_json)
