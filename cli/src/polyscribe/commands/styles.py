"""`styles`, `select`, `canary`: what one can write in, its files, and the version that is tried."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Context, Option, Typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.factory import add_commands
from polyscribe.commands.resources import STYLES
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.errors import DownloadFailed, Object

app = Typer(name="styles", help="Manage styles.", invoke_without_command=True)


@app.callback()
@app.command("list")
def list_styles(
    context: Context,
    search: Annotated[str, Option(help="Only styles that contain this text.")] = "",
    kind: Annotated[
        Literal["own", "shared", "public", "selected"] | None, Option(help="Filter by access. Default: all.")
    ] = None,
    selected: Annotated[
        bool, Option("--selected", help="Only styles you can write with: your own and selected ones.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List styles. You can write with selected styles and your own."""
    if context.invoked_subcommand:
        return
    with open_client(context) as client:
        styles = list(client.pages("/styles", {"search": search, "kind": kind}))
    others = [style for style in styles if not (style["is_own"] or style["is_selected"])]
    usable = [style for style in styles if style not in others]
    if selected:
        styles, others = usable, []
    if as_json:
        return show.print_json(styles)
    if not styles:
        return show.print_note("No styles yet. Push one: polyscribe push FOLDER --style brand-voice")
    columns: show.Columns = {
        "STYLE": "model",
        "NAME": "name",
        "SELECTED": lambda style: "own" if style["is_own"] else "yes" if style["is_selected"] else "no",
        "LIVE": "live_version",
        "CANARY": lambda style: (
            f"{style['canary']['version']} ({style['canary']['percent']} %)" if style["canary"] else None
        ),
        "DESCRIPTION": "description",
    }
    show.print_table(columns, usable + others)
    if others:
        show.print_note(f"To use another one: polyscribe select {others[0]['model']}")


def select_style(
    context: Context,
    style: Annotated[
        str,
        Argument(
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
    model = answer["model"]
    word = "is your own" if found["is_own"] else "is selected"
    sentence = f"{model} {word}. Try it: polyscribe chat --style {model}"
    show.print_answer(answer, sentence, as_json=as_json)


add_commands(app, *STYLES)


@app.command("download")
def download_style(
    context: Context,
    *,
    style: StyleArgument,
    version: Annotated[
        int | None,
        Argument(
            min=1,
            help="Version number. Default: the live version.",
            autocompletion=completion.complete_version,
        ),
    ] = None,
    to: Annotated[str, Option("--to", help="Target folder, created if missing.")] = ".",
    force: Annotated[bool, Option("--force", help="Overwrite existing files.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Download the files of a version of your own style and verify their SHA-256."""
    with open_client(context) as client:
        number = version or client.get(client.style_path(style))["live_version"]
        if number is None:
            raise BadParameter("this style has no live version. Choose one from polyscribe versions.")
        files = client.post(f"{client.style_path(style)}/versions/{number}/download")["files"]
        paths = [Path(to) / Path(file["name"]).name for file in files]
        for path in paths:
            if path.exists() and not force:
                raise BadParameter(f"{path} already exists. Choose another folder, or add --force.")
        Path(to).mkdir(parents=True, exist_ok=True)
        for file, path in zip(files, paths, strict=True):
            _download(client, file, path)
    written = [str(path) for path in paths]
    show.print_answer({"version": number, "files": written}, "\n".join(written), as_json=as_json)


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


def canary(
    context: Context,
    *,
    style: StyleArgument,
    version: Annotated[
        int | None, Argument(min=1, help="The version to try.", autocompletion=completion.complete_version)
    ] = None,
    percent: Annotated[int | None, Argument(min=1, max=99, help="Percentage of requests.")] = None,
    end: Annotated[bool, Option("--end", help="End the canary.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a canary with a share of a style's requests. Without a version, show the canary's metrics."""
    if end and version is not None:
        raise BadParameter("--end takes no version: it ends the current canary.")
    if version is not None and percent is None:
        raise BadParameter("the percentage is missing: polyscribe canary STYLE VERSION PERCENT")
    with open_client(context) as client:
        model = client.full_name(style)
        path = f"{client.style_path(style)}/canary"
        if end:
            client.delete(path)
            return show.print_answer({"ended": True}, f"The canary of {model} has ended.", as_json=as_json)
        if version is None:
            return _print_canary(client.get(path), as_json=as_json)
        answer = client.put(path, {"version": version, "percent": percent})
    show.print_answer(answer, f"{model}@{version} gets {percent}% of the requests.", as_json=as_json)


def _print_canary(canary: Object, *, as_json: bool) -> None:
    if as_json:
        return show.print_json(canary)
    role = f"canary, {canary['percent']} %"
    rows = [
        {**canary["figures"], "version": canary["version"], "role": role},
        {**canary["live_figures"], "version": canary["live_version"], "role": "live"},
    ]
    columns = {
        "VERSION": "version",
        "": "role",
        "REQUESTS": "requests",
        "ERRORS %": "error_percent",
        "EMPTY %": "empty_percent",
        "TOKENS": "completion_tokens",
    }
    show.print_table(columns, rows)
    show.print_line(canary["fault"] or canary["sentence"])
