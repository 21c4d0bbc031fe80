"""`push`: send an adapter and watch it until it serves."""

from pathlib import Path
from typing import Annotated

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from typer import Argument, Context, Option

from polyscribe.commands import completion, show
from polyscribe.commands.session import JsonFlag, open_client
from polyscribe.errors import Object
from polyscribe.push.folder import require_files
from polyscribe.push.parts import PushObserver

MARKS = {"done": "✓", "current": "…", "failed": "✗"}


def push(
    context: Context,
    *,
    folder: Annotated[Path, Argument(metavar="DIR", help="The folder written by PEFT's save_pretrained.")],
    style: Annotated[
        str,
        Option(
            help="The style to add the version to. Created if it doesn't exist.",
            autocompletion=completion.complete_style,
        ),
    ],
    name: Annotated[str, Option(help="Display name of a new style.")] = "",
    description: Annotated[str, Option(help="Description of a new style.")] = "",
    sample_prompt: Annotated[str, Option(help="Sample prompt of a new style.")] = "",
    quantisation: Annotated[
        str, Option(help="Quantisation of the base model used in training: none, 4-bit, 8-bit or other.")
    ] = "",
    promote: Annotated[bool, Option(help="Go live as soon as the version is serving.")] = True,
    canary: Annotated[
        int | None, Option(min=1, max=99, help="Start a canary with this percentage of requests instead.")
    ] = None,
    timeout: Annotated[
        float | None,
        Option(
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
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
        rates = (TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, *rates, console=show.stderr())

    def upload_began(self, version: str, *, total_bytes: int, stored_bytes: int) -> None:
        if stored_bytes:
            show.print_note(f"{stored_bytes:,} of {total_bytes:,} bytes are already uploaded.")
        name = show.printable(version)
        self._task = self._progress.add_task(name, total=total_bytes, completed=stored_bytes)
        self._progress.start()

    def bytes_sent(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def upload_ended(self) -> None:
        self._progress.stop()

    def step_changed(self, step: Object) -> None:
        mark = MARKS.get(step["state"])
        if mark:
            note = f": {step['note']}" if step["note"] else ""
            show.stderr().print(show.printable(f"{mark} {step['label']}{note}"))
