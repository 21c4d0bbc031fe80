"""`styles`, `select`, `canary`: what one can write in, its files, and the version that is tried."""

import hashlib
import os
from pathlib import Path
from typing import Annotated

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import Kind
from polyscribe.commands.factory import add_command
from polyscribe.commands.resources import STYLES
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.errors import DownloadFailed, Object

app = typer.Typer(name="styles", help="Manage styles.", invoke_without_command=True)

SearchOption = Annotated[str, typer.Option(help="Only styles that contain this text.")]
KindOption = Annotated[Kind | None, typer.Option(help="Filter by access. Default: all.")]
SelectedOption = Annotated[
    bool, typer.Option("--selected", help="Only styles you can write with: your own and selected ones.")
]


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
        found = list(client.pages("/styles", {"search": search, "kind": kind.value if kind else ""}))
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
        answer = found if found["is_own"] else client.put(f"/styles/{found['id']}/selection")
    if as_json:
        return show.print_json(answer)
    model = answer["model"]
    word = "is your own" if found["is_own"] else "is selected"
    show.print_line(f"{model} {word}. Try it: polyscribe chat --style {model}")


for _row in STYLES:
    add_command(app, _row)


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
    number: int | None = client.get(client.style_path(style))["live_version"]
    if number is None:
        raise typer.BadParameter("this style has no live version. Choose one from polyscribe versions.")
    return number


def is_usable(style: Object) -> bool:
    """Return whether requests may name a style in `model`."""
    return bool(style["is_own"] or style["is_selected"])


def style_row(style: Object) -> tuple[object, ...]:
    """Return a style as a row of a table."""
    canary = style["canary"]
    share = f"{canary['version']} ({canary['percent']} %)" if canary else None
    selected = "own" if style["is_own"] else "yes" if style["is_selected"] else "no"
    return style["model"], style["name"], selected, style["live_version"], share, style["description"]


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
        path = f"{client.style_path(style)}/canary"
        if end:
            client.delete(path)
            return show.print_answer({"ended": True}, f"The canary of {model} has ended.", as_json=as_json)
        if version is None or percent is None:
            return print_canary(client.get(path), as_json=as_json)
        answer = client.put(path, {"version": version, "percent": percent})
    show.print_answer(answer, f"{model}@{version} gets {percent}% of the requests.", as_json=as_json)


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


def download_files(client: Client, style: str, number: int, *, folder: str, force: bool) -> list[str]:
    """Write a version's files into a folder; return their paths.

    Raises typer.BadParameter for files that are there, DownloadFailed, ApiError, Unreachable.
    """
    target = Path(folder)
    files = client.post(f"{client.style_path(style)}/versions/{number}/download")["files"]
    paths = [target / Path(file["name"]).name for file in files]
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise typer.BadParameter(f"{there[0]} already exists. Choose another folder, or add --force.")
    target.mkdir(parents=True, exist_ok=True)
    for file, path in zip(files, paths, strict=True):
        _download(client, file, path)
    return [str(path) for path in paths]


def _download(client: Client, file: Object, path: Path) -> None:
    """Write one file under its name once it has arrived whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    digest = hashlib.sha256()
    try:
        with draft.open("wb") as out:
            for chunk in client.read_stored_file(file["url"]):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file["sha256"]:
            raise DownloadFailed
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
