"""`train`: a style from texts, with the estimate asked about, and the training followed to its end."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn
from typer import Argument, Context, Option

from polyscribe.client import Client, is_id
from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, open_client, require_terminal
from polyscribe.commands.show import count, dollars
from polyscribe.errors import Object
from polyscribe.train import Texts, TrainingObserver, gather_texts

LABELS = {
    "preparing": "Reading your texts",
    "queued": "Waiting for a training worker",
    "running": "Training",
    "paused": "Paused",
    "finishing": "Checking the style",
}
LINE_EVERY_PERCENT = 10
CONSENT = "A training costs money and needs your consent. Add --yes to give it without a terminal."
RIGHTS = "The texts are yours, or you have the right to train on them."


def train(
    context: Context,
    *,
    style: Annotated[
        str,
        Argument(
            metavar="STYLE",
            help="The style's short name. A new style, or your own, which gets a new version. To follow a "
            "training: its id.",
        ),
    ],
    files: Annotated[
        list[Path] | None, Argument(metavar="FILES", help="Your texts: .docx, .txt, .md, .pdf, …")
    ] = None,
    text: Annotated[str, Option(help="A text to learn; - reads it from stdin.")] = "",
    name: Annotated[str, Option(help="Display name of a new style.")] = "",
    keep_documents: Annotated[
        bool, Option("--keep-documents", help="Keep the texts for more than 30 days afterwards.")
    ] = False,
    consent: Annotated[
        bool,
        Option(
            "--yes",
            "-y",
            help="Start without asking: accept the estimate, and state that you may train on the texts.",
        ),
    ] = False,
    follow: Annotated[
        bool, Option("--follow/--no-wait", help="Follow the training to its end, or only start it.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Train a style on your own texts.

    Shows what it costs at most and how long it takes, and asks before it starts. Ctrl-C stops following; the
    training continues. Follow it again with: polyscribe train --follow ID

    Exit codes: 0 succeeded, or started with --no-wait; 1 failed, cancelled, or the texts were refused;
    2 usage; 3 unreachable; 4 not allowed; 5 paused.
    """
    is_followed_again = is_id(style) and not files and not text
    texts = Texts({})
    if not is_followed_again:
        texts = gather_texts(files or [], pasted=sys.stdin.read() if text == "-" else text)
        require_terminal(consent, CONSENT)
    observer = TrainingObserver() if as_json else (ProgressBar() if show.stderr().is_terminal else Lines())
    with open_client(context) as client:
        training_id = style if is_followed_again else ""
        try:
            if not training_id:
                training_id = client.trainer.create(style, name)
                client.trainer.send_texts(training_id, texts, observer)
            training = _start(client, training_id, observer, consent=consent, keep_documents=keep_documents)
            if follow:
                training = client.trainer.follow(training_id, observer)
        except KeyboardInterrupt:
            observer.ended()
            show.print_note(_after_interrupt(training_id))
            raise
    show.print_answer(training, _describe_end(training), as_json=as_json)


def _start(
    client: Client, training_id: str, observer: TrainingObserver, *, consent: bool, keep_documents: bool
) -> Object:
    """Return the training once it is started: at once for one that is, else with a person's consent."""
    training = client.trainer.get(training_id)
    if training["status"] not in ("draft", "preparing", "ready"):
        return training
    require_terminal(consent, CONSENT)
    training = client.trainer.wait_for_estimate(training_id, observer)
    observer.ended()
    if training["status"] != "ready":  # another member started it
        return training
    for document in client.trainer.refused(training_id):
        show.print_note(f"{document['refusal']} {document['fix']}")
    show.print_note(_describe_estimate(training))
    if not consent and not typer.confirm(f"{RIGHTS} Start the training?", err=True):
        client.trainer.delete(training_id)
        show.print_note("Nothing was started or charged. The texts were deleted.")
        raise typer.Abort
    return client.trainer.start(training_id, rights=True, keep_documents=keep_documents)


def _describe_estimate(training: Object) -> str:
    words = count(training["words"])
    minutes = max(1, round(training["estimated_s"] / 60))
    price = dollars(training["most_usd"])
    unit = "minute" if minutes == 1 else "minutes"
    return f"{words} words. Costs at most {price} and takes about {minutes} {unit}."


def _describe_end(training: Object) -> str:
    model = training["model"]
    if model is None:
        return f"The training has started. Follow it with: polyscribe train --follow {training['id']}"
    style, _, number = model.partition("@")
    return (
        f"{model} is ready. Try it: polyscribe chat --style {model}\n"
        f"To make it live: polyscribe promote {style} {number}"
    )


def _after_interrupt(training_id: str) -> str:
    if not training_id:
        return "Nothing was sent."
    return (
        f"You no longer follow the training. If it has started, it continues.\n"
        f"Follow it again with: polyscribe train --follow {training_id}"
    )


def _describe_status(training: Object) -> str:
    label = LABELS.get(training["status"], "")
    return f"{label}: {training['note']}" if label and training["note"] else label


def _describe_left(training: Object) -> str:
    if training["left_s"] is None:
        return ""
    minutes = round(training["left_s"] / 60)
    return f", about {minutes} min left" if minutes else ", less than a minute left"


class Lines(TrainingObserver):
    """Prints a line for each status, and for each tenth of the training: for logs."""

    def __init__(self) -> None:
        self._last_status = ""
        self._last_percent = -LINE_EVERY_PERCENT

    def progressed(self, training: Object) -> None:
        status = _describe_status(training)
        if status and status != self._last_status:
            show.print_note(status)
        self._last_status = status
        percent = training["percent"]
        if training["status"] == "running" and percent >= self._last_percent + LINE_EVERY_PERCENT:
            self._last_percent = percent - percent % LINE_EVERY_PERCENT
            show.print_note(f"{percent} %{_describe_left(training)}")


class ProgressBar(TrainingObserver):
    """Draws how far a training is."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def bytes_sent(self, sent_bytes: int, *, total_bytes: int) -> None:
        self._draw("Sending your texts", sent_bytes, total=total_bytes)

    def progressed(self, training: Object) -> None:
        status = _describe_status(training)
        if status:
            self._draw(status, training["percent"], left=_describe_left(training))

    def ended(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _draw(self, description: str, completed: float, *, total: int = 100, left: str = "") -> None:
        if self._progress is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
            self._progress = Progress(*columns, TextColumn("{task.fields[left]}"), console=show.stderr())
            self._task = self._progress.add_task("", left="")
            self._progress.start()
        text = show.printable(description)
        self._progress.update(self._task, description=text, completed=completed, total=total, left=left)
