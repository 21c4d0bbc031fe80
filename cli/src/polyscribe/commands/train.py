"""`train`: a style from texts, with the estimate asked about, and the training followed to its end."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from polyscribe.client import Client, is_id
from polyscribe.commands import show
from polyscribe.commands.choices import STDIN
from polyscribe.commands.session import JsonFlag, open_client
from polyscribe.commands.show import count, dollars
from polyscribe.errors import NotConfirmed, Object
from polyscribe.train import OPEN, READY, Texts, TrainingObserver, gather_texts

LABELS = {
    "preparing": "Reading your texts",
    "queued": "Waiting for a training worker",
    "running": "Training",
    "paused": "Paused",
    "finishing": "Checking the style",
}
LINE_EVERY_PERCENT = 10
RIGHTS = "The texts are yours, or you have the right to train on them."


def train(
    context: typer.Context,
    *,
    style: Annotated[
        str,
        typer.Argument(
            metavar="STYLE",
            help="The style's short name. A new style, or your own, which gets a new version. To follow a "
            "training: its id.",
        ),
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Your texts: .docx, .txt, .md, .pdf, …")
    ] = None,
    text: Annotated[str, typer.Option(help="A text to learn; - reads it from stdin.")] = "",
    name: Annotated[str, typer.Option(help="Display name of a new style.")] = "",
    keep_documents: Annotated[
        bool, typer.Option("--keep-documents", help="Keep the texts for more than 30 days afterwards.")
    ] = False,
    consent: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Start without asking: accept the estimate, and state that you may train on the texts.",
        ),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--no-wait", help="Follow the training to its end, or only start it.")
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
    texts = Texts() if is_followed_again else gather_texts(files or [], pasted=_read_pasted(text))
    if not is_followed_again:
        _require_answerable(consent)
    observer = TrainingObserver() if as_json else _new_observer()
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
    if training["status"] not in OPEN:
        return training
    _require_answerable(consent)
    training = client.trainer.wait_for_estimate(training_id, observer)
    observer.ended()
    if training["status"] != READY:  # another member started it
        return training
    for document in client.trainer.documents(training_id):
        if document["status"] == "refused":
            show.print_note(f"{document['refusal']} {document['fix']}")
    show.print_note(_describe_estimate(training))
    if not consent and not typer.confirm(f"{RIGHTS} Start the training?", err=True):
        client.trainer.delete(training_id)
        show.print_note("Nothing was started or charged. The texts were deleted.")
        raise typer.Abort
    return client.trainer.start(training_id, rights=True, keep_documents=keep_documents)


def _require_answerable(consent: bool) -> None:
    """Raise NotConfirmed, before anything is sent, if nobody can be asked and nobody said --yes."""
    if not consent and not sys.stdin.isatty():
        raise NotConfirmed(
            "A training costs money and needs your consent. Add --yes to give it without a terminal."
        )


def _read_pasted(text: str) -> str:
    return sys.stdin.read() if text == STDIN else text


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


def _new_observer() -> TrainingObserver:
    return ProgressBar() if show.stderr().is_terminal else Lines()


class Lines(TrainingObserver):
    """Prints a line for each status, and for each tenth of the training: for logs."""

    def __init__(self) -> None:
        self._last_percent = -LINE_EVERY_PERCENT

    def status_changed(self, training: Object) -> None:
        """Print the status and its note."""
        label = LABELS.get(training["status"])
        if label:
            note = f": {training['note']}" if training["note"] else ""
            show.print_note(f"{label}{note}")

    def progressed(self, training: Object) -> None:
        """Print how far the training is, at each tenth."""
        if training["status"] != "running":
            return
        percent = training["percent"]
        if percent >= self._last_percent + LINE_EVERY_PERCENT:
            self._last_percent = percent - percent % LINE_EVERY_PERCENT
            show.print_note(f"{percent} %{_describe_left(training)}")


class ProgressBar(TrainingObserver):
    """Draws how far a training is."""

    def __init__(self) -> None:
        self._console = show.stderr()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._sent_bytes = 0

    def files_began(self, *, total_bytes: int) -> None:
        """Show a bar for the files."""
        if total_bytes:
            self._begin("Sending your texts", total=total_bytes)

    def bytes_sent(self, count: int) -> None:
        """Move it."""
        self._sent_bytes += count
        if self._progress:
            self._progress.update(self._task, completed=self._sent_bytes)

    def files_ended(self) -> None:
        """Leave it as it is."""
        self.ended()

    def status_changed(self, training: Object) -> None:
        """Say what is happening beside the bar."""
        label = LABELS.get(training["status"])
        if label is None:
            return
        note = f": {training['note']}" if training["note"] else ""
        if self._progress is None:
            self._begin("", total=100)
        assert self._progress
        self._progress.update(self._task, description=show.printable(f"{label}{note}"))

    def progressed(self, training: Object) -> None:
        """Move the bar."""
        if self._progress:
            self._progress.update(self._task, completed=training["percent"], left=_describe_left(training))

    def ended(self) -> None:
        """Leave the bar as it is."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _begin(self, description: str, *, total: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
        self._progress = Progress(*columns, TextColumn("{task.fields[left]}"), console=self._console)
        self._task = self._progress.add_task(description, total=total, left="")
        self._progress.start()


def _describe_left(training: Object) -> str:
    left_s = training["left_s"]
    if left_s is None:
        return ""
    minutes = round(left_s / 60)
    return f", about {minutes} min left" if minutes else ", less than a minute left"
