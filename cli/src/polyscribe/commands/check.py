"""`check`: how close a draft is to a style's author, and which sentences are farthest."""

from pathlib import Path
from typing import Annotated

import typer

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.commands.texts import read_text
from polyscribe.commands.wording import count
from polyscribe.objects import Object

UNKNOWN = {
    "language": "We can't give a percentage for this language yet.",
    "old_check": "There is no percentage, because the version's evidence is from before December 2026: check "
    "it again.",
}


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(check)


def check(
    context: typer.Context,
    *,
    style: StyleArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plain text; - reads it from stdin.")],
    as_json: JsonFlag = False,
) -> None:
    """Check how close a text is to a style's author. The service doesn't store it.

    50 % means that as many texts like this one are by other authors as by this one. Needs a version with
    evidence.
    """
    text = read_text(file)
    with open_client(context) as client:
        answer = client.styles.check_draft(style, text)
    if as_json:
        return show.print_json(answer)
    show.print_line(_describe(answer))
    for sentence in answer["farthest"]:
        percent = "" if sentence["percent"] is None else f"{sentence['percent']:>4} %"
        show.print_line(f"{percent:6}  {' '.join(sentence['text'].split())}")


def _describe(answer: Object) -> str:
    words = count(answer["words"])
    if answer["percent"] is None:
        return f"{words} words. {UNKNOWN[answer['percent_unknown']]} Farthest sentences:"
    own, others = answer["own"], answer["others"]
    return (
        f"{words} words. Of texts that score like this, {answer['percent']} % are by the author of "
        f"{answer['model']}, when half of all texts are. New texts of this length get {own['low']} to "
        f"{own['high']} % if they are by the author, {others['low']} to {others['high']} % if not; the "
        f"base model's answers get {answer['base']} %. Farthest sentences:"
    )
