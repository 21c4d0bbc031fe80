"""`push`: send an adapter and watch it until it serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from polyscribe.commands import completion, show
from polyscribe.commands.session import JsonFlag, open_client
from polyscribe.push.folder import require_files
from polyscribe.push.observer import PushObserver

MARKS = {"done": "✓", "current": "…", "failed": "✗"}


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(push)


def push(
    context: typer.Context,
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that PEFT's save_pretrained wrote.")
    ],
    style: Annotated[
        str,
        typer.Option(
            help="The style that it is a version of; a new one is created.",
            autocompletion=completion.complete_style,
        ),
    ],
    name: Annotated[str, typer.Option(help="A new style's name for people.")] = "",
    description: Annotated[str, typer.Option(help="A new style's description.")] = "",
    sample_prompt: Annotated[str, typer.Option(help="What a new style's sample answers.")] = "",
    quantisation: Annotated[
        str, typer.Option(help="State of the base that it was trained on: none, 4-bit, 8-bit or other.")
    ] = "",
    promote: Annotated[bool, typer.Option(help="Let it answer for the style as soon as it serves.")] = True,
    canary: Annotated[
        int | None, typer.Option(min=1, max=99, help="Let it answer this percentage of requests instead.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds to wait, once all is sent, until it serves; without: as long as it takes."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Send an adapter, and watch it until it serves.

    A push that was cut off goes on where it stopped when it is run again, and so does one whose --timeout is
    over.

    Exit codes: 0 it serves; 1 rejected, failed, or the folder changed; 2 usage; 3 not reachable;
    4 not allowed; 5 all is sent, and it does not serve yet.
    """
    require_files(folder)
    observer = PushObserver() if as_json else ProgressBar()
    with open_client(context) as client:
        version = client.push(
            folder,
            style=style,
            name=name,
            description=description,
            sample_prompt=sample_prompt,
            quantisation=quantisation,
            promote=promote,
            canary_percent=canary,
            timeout_s=timeout,
            observer=observer,
        )
        model = client.full_name(style)
    if as_json:
        return show.print_json(version)
    show.print_line(f"{model}@{version['number']} serves.{what_next(model, version, canary=canary)}")


def what_next(model: str, version: Mapping[str, Any], *, canary: int | None) -> str:
    """Return what answers now, and how that is changed."""
    if version["is_live"]:
        return f" It answers for {model}."
    if canary is not None:
        return f" It answers {canary} % of the requests to {model}."
    return f" To let it answer for the style: polyscribe promote {model} {version['number']}"


class ProgressBar(PushObserver):
    """Draws how far a push is: bytes, rate and time left, then each step."""

    def __init__(self) -> None:
        self._console = show.stderr()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )

    def upload_began(self, version: str, *, total_bytes: int, stored_bytes: int) -> None:
        """Show the bar."""
        if stored_bytes:
            self._console.print(f"{stored_bytes:,} of {total_bytes:,} bytes are there already.", style="dim")
        self._task = self._progress.add_task(
            show.printable(version), total=total_bytes, completed=stored_bytes
        )
        self._progress.start()

    def bytes_sent(self, count: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, count)

    def upload_ended(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def step_changed(self, step: Mapping[str, Any]) -> None:
        """Print a step that is done, at work or failed."""
        mark = MARKS.get(step["state"])
        if mark:
            note = f": {step['note']}" if step["note"] else ""
            self._console.print(show.printable(f"{mark} {step['label']}{note}"))
