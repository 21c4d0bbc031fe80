"""`styles`, `select`, `unselect`: what one can write in, and what people read about a style."""

from typing import Annotated

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import Kind
from polyscribe.commands.session import (
    JsonFlag,
    StyleArgument,
    YesFlag,
    confirm,
    open_client,
    require_terminal,
)
from polyscribe.commands.versions import download_files
from polyscribe.objects import Object

app = typer.Typer(name="styles", help="Manage styles.", invoke_without_command=True)

SearchOption = Annotated[str, typer.Option(help="Only styles that contain this text.")]
KindOption = Annotated[Kind | None, typer.Option(help="Filter by access. Default: all.")]
SelectedOption = Annotated[
    bool, typer.Option("--selected", help="Only styles you can write with: your own and selected ones.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands that have no group."""
    app.command("select")(select_style)
    app.command("unselect")(unselect_style)


@app.callback()
def list_without_command(
    context: typer.Context,
    search: SearchOption = "",
    kind: KindOption = None,
    selected: SelectedOption = False,
    as_json: JsonFlag = False,
) -> None:
    """List styles, or manage one of them."""
    if context.invoked_subcommand is None:
        list_styles(context, search=search, kind=kind, selected=selected, as_json=as_json)


@app.command("list")
def list_styles(
    context: typer.Context,
    search: SearchOption = "",
    kind: KindOption = None,
    selected: SelectedOption = False,
    as_json: JsonFlag = False,
) -> None:
    """List styles. You can write with selected styles and your own."""
    with open_client(context) as client:
        found = list(client.styles.list(search=search, kind=kind.value if kind else ""))
    styles = [style for style in found if is_usable(style)] if selected else found
    if as_json:
        return show.print_json(styles)
    if not styles:
        return show.print_note("No styles yet. Push one: polyscribe push FOLDER --style brand-voice")
    rows = [style_row(style) for style in sorted(styles, key=is_usable, reverse=True)]
    show.print_table(("STYLE", "NAME", "SELECTED", "LIVE", "CANARY", "DESCRIPTION"), rows)
    others = [style for style in styles if not is_usable(style)]
    if others:
        show.print_note(f"To use another one: polyscribe select {others[0]['model']}")


def select_style(
    context: typer.Context,
    style: Annotated[
        str,
        typer.Argument(
            metavar="STYLE",
            help="A public or shared style: poetry, others/noir.",
            autocompletion=completion.complete_selectable,
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Select another workspace's style to use it."""
    with open_client(context) as client:
        found = client.find_style(style)
        answer = found if found["is_own"] else client.styles.select(found["id"])
    if as_json:
        return show.print_json(answer)
    model = answer["model"]
    word = "is your own" if found["is_own"] else "is selected"
    show.print_line(f"{model} {word}. Try it: polyscribe chat --style {model}")


def unselect_style(
    context: typer.Context,
    style: Annotated[
        str,
        typer.Argument(
            metavar="STYLE", help="A selected style.", autocompletion=completion.complete_selected
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Deselect another workspace's style. Requests to it fail until you select it again."""
    with open_client(context) as client:
        found = client.find_style(style)
        if found["is_own"]:
            raise typer.BadParameter("this is your own style; only other workspaces' styles can be selected.")
        client.styles.unselect(found["id"])
    model = found["model"]
    show.print_answer({"unselected": model}, f"{model} is no longer selected.", as_json=as_json)


@app.command("edit")
def edit_style(
    context: typer.Context,
    *,
    style: StyleArgument,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    description: Annotated[str | None, typer.Option(help="Description.")] = None,
    sample_prompt: Annotated[str | None, typer.Option(help="Sample prompt.")] = None,
    author: Annotated[str | None, typer.Option(help="Author.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence: CC BY 4.0, or custom terms.")] = None,
    language: Annotated[str | None, typer.Option(help="Language code: en, pt-br.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Tag; repeat for more.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Update a style's details. Omitted options don't change."""
    given = {
        "name": name,
        "description": description,
        "sample_prompt": sample_prompt,
        "author": author,
        "licence": licence,
        "language": language,
        "tags": tag or None,
    }
    words = {field: text for field, text in given.items() if text is not None}
    if not words:
        raise typer.BadParameter(
            "nothing to change. Add an option such as --description “How we write to customers.”"
        )
    with open_client(context) as client:
        edited = client.styles.edit(style, **words)
    show.print_answer(edited, f"{edited['model']} updated: {', '.join(words)}.", as_json=as_json)


@app.command("delete")
def delete_style(
    context: typer.Context,
    *,
    style: StyleArgument,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Continue even if other workspaces lose access.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete a style and erase all its versions."""
    require_terminal(yes)
    with open_client(context) as client:
        model = client.full_name(style)
        count = count_versions(client, style)
        confirm(f"Delete {model} and erase its {count}?", yes)
        erasures = client.styles.delete(style, at_once=at_once)
    show.print_answer(erasures, f"{model} was deleted; {count} being erased.", as_json=as_json)


@app.command("download")
def download_style(
    context: typer.Context,
    *,
    style: StyleArgument,
    version: Annotated[
        int | None,
        typer.Argument(
            min=1,
            help="Version number. Default: the live version.",
            autocompletion=completion.complete_version,
        ),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="Target folder, created if missing.")] = ".",
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Download the files of a version of your own style and verify their SHA-256."""
    with open_client(context) as client:
        number = version or find_live_version(client, style)
        files = download_files(client, style, number, folder=to, force=force)
    if as_json:
        return show.print_json({"version": number, "files": files})
    for file in files:
        show.print_line(file)


def find_live_version(client: Client, style: str) -> int:
    """Return the number of the version that answers. Raises typer.BadParameter without one."""
    number: int | None = client.styles.get(style)["live_version"]
    if number is None:
        raise typer.BadParameter("this style has no live version. Choose one from polyscribe versions.")
    return number


def count_versions(client: Client, style: str) -> str:
    """Return how many versions a style has, in words."""
    count = sum(1 for _ in client.versions.list(style))
    return f"{count} version{'' if count == 1 else 's'}"


def is_usable(style: Object) -> bool:
    """Return whether requests may name a style in `model`."""
    return bool(style["is_own"] or style["is_selected"])


def style_row(style: Object) -> tuple[object, ...]:
    """Return a style as a row of a table."""
    canary = style["canary"]
    share = f"{canary['version']} ({canary['percent']} %)" if canary else None
    selected = "own" if style["is_own"] else "yes" if style["is_selected"] else "no"
    return style["model"], style["name"], selected, style["live_version"], share, style["description"]
