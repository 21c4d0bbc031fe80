"""`check`: how close a draft is to a style's author, and which sentences are farthest."""

from pathlib import Path
from typing import Annotated

import typer

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.commands.texts import read_text
from polyscribe.commands.wording import count
from polyscribe.objects import Object


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

    0 % is the base model's writing, 100 % the author's. Needs a version with evidence.
    """
    text = read_text(file)
    with open_client(context) as client:
        answer = client.styles.check_draft(style, text)
    if as_json:
        return show.print_json(answer)
    show.print_line(_describe(answer))
    for sentence in answer["farthest"]:
        show.print_line(f"{sentence['percent']:>4} %  {' '.join(sentence['text'].split())}")


def _describe(answer: Object) -> str:
    words = count(answer["words"])
    return (
        f"{words} words are {answer['percent']} % of the way from the base model to the author "
        f"of {answer['model']}. Farthest sentences:"
    )
