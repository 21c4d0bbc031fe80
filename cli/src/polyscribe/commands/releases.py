"""`promote`, `rollback`, `canary`, `retire`: which version answers for a style."""

from typing import Annotated

import typer

from polyscribe.commands import completion, show
from polyscribe.commands.session import (
    JsonFlag,
    StyleArgument,
    VersionArgument,
    YesFlag,
    confirm,
    open_client,
    require_terminal,
)
from polyscribe.objects import Object


def add_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(promote)
    app.command("rollback")(roll_back)
    app.command()(canary)
    app.command()(retire)


def promote(
    context: typer.Context, style: StyleArgument, version: VersionArgument, as_json: JsonFlag = False
) -> None:
    """Make a version the live version of its style."""
    with open_client(context) as client:
        answer = client.versions.promote(style, version)
        model = client.full_name(style)
    show.print_answer(answer, f"{model}@{version} is now live for {model}.", as_json=as_json)


def roll_back(context: typer.Context, style: StyleArgument, as_json: JsonFlag = False) -> None:
    """Roll back to the previous live version."""
    with open_client(context) as client:
        answer = client.releases.roll_back(style)
        model = client.full_name(style)
    show.print_answer(answer, f"{model}@{answer['number']} is live again for {model}.", as_json=as_json)


def canary(
    context: typer.Context,
    *,
    style: StyleArgument,
    version: Annotated[
        int | None,
        typer.Argument(min=1, help="The version to try.", autocompletion=completion.complete_version),
    ] = None,
    percent: Annotated[int | None, typer.Argument(min=1, max=99, help="Percentage of requests.")] = None,
    end: Annotated[bool, typer.Option("--end", help="End the canary.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a canary with a share of a style's requests. Without a version, show the canary's metrics."""
    if end and version is not None:
        raise typer.BadParameter("--end takes no version: it ends the current canary.")
    if version is not None and percent is None:
        raise typer.BadParameter("the percentage is missing: polyscribe canary STYLE VERSION PERCENT")
    with open_client(context) as client:
        model = client.full_name(style)
        if end:
            client.releases.end_canary(style)
            return show.print_answer({"ended": True}, f"The canary of {model} has ended.", as_json=as_json)
        if version is None or percent is None:
            return print_canary(client.releases.canary(style), as_json=as_json)
        answer = client.releases.set_canary(style, version, percent)
    show.print_answer(answer, f"{model}@{version} gets {percent}% of the requests.", as_json=as_json)


def retire(
    context: typer.Context,
    *,
    style: StyleArgument,
    version: VersionArgument,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Continue even if other workspaces lose access.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Retire a version permanently. Its files are kept."""
    require_terminal(yes)
    with open_client(context) as client:
        model = client.full_name(style)
        confirm(f"Retire {model}@{version}? It can't return to service.", yes)
        answer = client.versions.retire(style, version, at_once=at_once)
    show.print_answer(answer, f"{model}@{version} was retired.", as_json=as_json)


def print_canary(canary: Object, *, as_json: bool) -> None:
    """Print a canary with its figures."""
    if as_json:
        return show.print_json(canary)
    rows = [
        figures_row(canary["version"], f"canary, {canary['percent']} %", canary["figures"]),
        figures_row(canary["live_version"], "live", canary["live_figures"]),
    ]
    show.print_table(("VERSION", "", "REQUESTS", "ERRORS %", "EMPTY %", "TOKENS"), rows)
    show.print_line(canary["fault"] or canary["sentence"])


def figures_row(number: int, role: str, figures: Object) -> tuple[object, ...]:
    """Return a version's figures as a row of a table."""
    return (
        number,
        role,
        figures["requests"],
        figures["error_percent"],
        figures["empty_percent"],
        figures["completion_tokens"],
    )
