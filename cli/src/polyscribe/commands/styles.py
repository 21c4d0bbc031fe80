"""`styles`, `versions`: what there is."""

from typing import Annotated, Any

import typer
from rich.filesize import decimal

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client


def add_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("styles")(list_styles)
    app.command("versions")(list_versions)


def list_styles(
    context: typer.Context,
    search: Annotated[str, typer.Option(help="Only styles in whose words this is.")] = "",
    kind: Annotated[str, typer.Option(help="own, shared, public or selected; all by default.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """List the styles that you can write in."""
    with open_client(context) as client:
        styles = list(client.styles.list(search=search, kind=kind))
    if as_json:
        return show.print_json(styles)
    if not styles:
        return show.print_note("There is none. Push one: polyscribe push FOLDER --style brand-voice")
    show.print_table(
        ("STYLE", "NAME", "LIVE", "CANARY", "DESCRIPTION"), [style_row(style) for style in styles]
    )


def list_versions(context: typer.Context, style: StyleArgument, as_json: JsonFlag = False) -> None:
    """List a style's versions, newest first."""
    with open_client(context) as client:
        versions = list(client.versions.list(style))
    if as_json:
        return show.print_json(versions)
    show.print_table(
        ("VERSION", "STATUS", "CREATED", "SIZE", ""), [version_row(version) for version in versions]
    )


def style_row(style: dict[str, Any]) -> tuple[object, ...]:
    """Return a style as a row of a table."""
    canary = style["canary"]
    share = f"{canary['version']} ({canary['percent']} %)" if canary else None
    return style["model"], style["name"], style["live_version"], share, style["description"]


def version_row(version: dict[str, Any]) -> tuple[object, ...]:
    """Return a version as a row of a table."""
    words = ["live"] if version["is_live"] else []
    words += ["canary"] if version["is_canary"] else []
    words += [version["failure"] or version["note"] or ", ".join(version["effects"])]
    size = decimal(version["size_bytes"])
    return version["number"], version["status"], version["created_at"], size, " · ".join(filter(None, words))
