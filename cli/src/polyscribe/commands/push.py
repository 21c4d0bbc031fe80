"""`push`: send an adapter and watch it until it serves."""

from pathlib import Path
from typing import Annotated

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
from polyscribe.errors import Object
from polyscribe.push.folder import require_files
from polyscribe.push.parts import PushObserver

MARKS = {"done": "✓", "current": "…", "failed": "✗"}


def push(
    context: typer.Context,
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder written by PEFT's save_pretrained.")
    ],
    style: Annotated[
        str,
        typer.Option(
            help="The style to add the version to. Created if it doesn't exist.",
            autocompletion=completion.complete_style,
        ),
    ],
    name: Annotated[str, typer.Option(help="Display name of a new style.")] = "",
    description: Annotated[str, typer.Option(help="Description of a new style.")] = "",
    sample_prompt: Annotated[str, typer.Option(help="Sample prompt of a new style.")] = "",
    quantisation: Annotated[
        str,
        typer.Option(help="Quantisation of the base model used in training: none, 4-bit, 8-bit or other."),
    ] = "",
    promote: Annotated[bool, typer.Option(help="Go live as soon as the version is serving.")] = True,
    canary: Annotated[
        int | None,
        typer.Option(min=1, max=99, help="Start a canary with this percentage of requests instead."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds to wait after the upload until the version is serving. Default: no limit."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Upload an adapter and wait until the version is serving.

    Run the same command again to resume a push that was interrupted or timed out.

    Exit codes: 0 serving; 1 rejected, failed, or the folder changed; 2 usage; 3 unreachable;
    4 not allowed; 5 uploaded, but not serving yet.
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
    sentence = f"{model}@{version['number']} serves.{what_next(model, version, canary=canary)}"
    show.print_answer(version, sentence, as_json=as_json)


def what_next(model: str, version: Object, *, canary: int | None) -> str:
    """Return what answers now, and how that is changed."""
    if version["is_live"]:
        return f" It is live for {model}."
    if canary is not None:
        return f" It gets {canary}% of the requests to {model}."
    return f" To make it live: polyscribe promote {model} {version['number']}"


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
            self._console.print(
                f"{stored_bytes:,} of {total_bytes:,} bytes are already uploaded.", style="dim"
            )
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

    def step_changed(self, step: Object) -> None:
        """Print a step that is done, at work or failed."""
        mark = MARKS.get(step["state"])
        if mark:
            note = f": {step['note']}" if step["note"] else ""
            self._console.print(show.printable(f"{mark} {step['label']}{note}"))
