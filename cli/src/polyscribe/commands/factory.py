"""Makes commands of rows: each is one request, and what is printed of its answer.

A row says a command's name, its parameters and its request; what all commands have (`--json`, `--yes`, the
question before what can't be undone, the full name of a style) is made here.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from typer import Context, Option, Typer

from polyscribe.client import Client
from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, YesFlag, confirm, open_client, require_terminal
from polyscribe.errors import Object

# What a person gave, by the parameters' names, and more: `model`, the full name of a style; `found`, what the
# row's `find` returned; and later `answer`, what the service returned.
Facts = dict[str, Any]
Sentence = str | Callable[[Facts], str]  # a text takes its facts in braces: {model}@{version}


@dataclass(frozen=True)
class Command:
    """A command that sends one request."""

    name: str
    summary: str
    request: str  # its method, and its path with the facts in braces
    parameters: Mapping[str, object] = field(default_factory=dict)  # an annotation; or (annotation, default)
    body: Callable[[Facts], Object] | None = None  # before any log-in; may raise typer.BadParameter
    find: Callable[[Client, Facts], object] | None = None  # may raise NotFound, typer.BadParameter
    question: Sentence = ""  # for what can't be undone
    columns: show.Columns | None = None  # of a list: all of its pages
    printed: Callable[[Facts], object] = lambda facts: facts["answer"]  # for programs
    done: Sentence = ""  # for people
    present: Callable[[Facts], None] | None = None  # for people, in place of `done`
    notes: Callable[[Facts], list[str]] = lambda _: []  # for people, beside `done`

    def run(self, context: Context, given: Facts, *, as_json: bool) -> None:
        """Ask where that is needed, send the request, and print what came of it."""
        is_confirmed = given.pop("yes", True)
        require_terminal(is_confirmed)
        body = self.body(given) if self.body else None
        with open_client(context) as client:
            facts = {**given, "model": client.full_name(given["style"])} if "style" in given else given
            facts["found"] = self.find(client, facts) if self.find else None
            confirm(say(self.question, facts), is_confirmed)
            method, path = self.request.split()
            path = path.format_map({name: quote_text(fact) for name, fact in facts.items()})
            if self.columns:
                facts["answer"] = list(client.pages(path))
            else:
                facts["answer"] = client.request(method, path, body=body)
        notes = self.notes(facts)
        if as_json:
            show.print_json(self.printed(facts))
        elif self.columns:
            show.print_table(self.columns, facts["answer"])
        elif self.present:
            self.present(facts)
        else:
            show.print_line(say(self.done, facts))
            for note in notes:
                show.print_note(note)


def add_commands(app: Typer, *rows: Command) -> None:
    for row in rows:
        app.command(row.name, help=row.summary)(make_command(row))


def make_command(row: Command) -> Callable[..., None]:
    """Return a function with the row's parameters in its signature, where typer reads them."""

    def run(context: Context, as_json: bool, **given: Any) -> None:
        row.run(context, given, as_json=as_json)

    described: dict[str, object] = {"context": Context, **row.parameters}
    if row.question:
        described["yes"] = (YesFlag, False)
    described["as_json"] = (JsonFlag, False)
    parameters = []
    for name, one in described.items():
        annotation, default = one if isinstance(one, tuple) else (one, inspect.Parameter.empty)
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, annotation=annotation, default=default))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def option(kind: object, default: object, *names: str, **facts: Any) -> tuple[object, object]:
    return Annotated[kind, Option(*names, **facts)], default


def quote_text(fact: object) -> object:
    return quote(fact) if isinstance(fact, str) else fact


def say(sentence: Sentence, facts: Facts) -> str:
    return sentence(facts) if callable(sentence) else sentence.format_map(facts)
