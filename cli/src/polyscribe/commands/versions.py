"""`versions`: a style's versions; and their files, which its owner can download."""

import hashlib
import os
from pathlib import Path

import typer
from rich.filesize import decimal

from polyscribe.client import Client
from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.commands.wording import moment
from polyscribe.errors import DownloadFailed
from polyscribe.objects import Object


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("versions")(list_versions)


def list_versions(context: typer.Context, style: StyleArgument, as_json: JsonFlag = False) -> None:
    """List a style's versions, newest first."""
    with open_client(context) as client:
        versions = list(client.versions.list(style))
    if as_json:
        return show.print_json(versions)
    show.print_table(
        ("VERSION", "STATUS", "CREATED", "SIZE", ""), [version_row(version) for version in versions]
    )


def version_row(version: Object) -> tuple[object, ...]:
    """Return a version as a row of a table."""
    words = ["live"] if version["is_live"] else []
    words += ["canary"] if version["is_canary"] else []
    words += [version["failure"] or version["note"] or ", ".join(version["effects"])]
    size = decimal(version["size_bytes"])
    created = moment(version["created_at"])
    return version["number"], version["status"], created, size, " · ".join(filter(None, words))


def download_files(client: Client, style: str, number: int, *, folder: str, force: bool) -> list[str]:
    """Write a version's files into a folder; return their paths.

    Raises typer.BadParameter for files that are there, DownloadFailed, ApiError, Unreachable.
    """
    target = Path(folder)
    files = client.versions.download_urls(style, number)["files"]
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
