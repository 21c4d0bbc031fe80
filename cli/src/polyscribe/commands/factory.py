"""Makes commands of rows: `Listing` prints a list of the API, `Change` sends one request and says so.

A row says a command's name, its parameters and its path; what all commands have (`--json`, `--yes`, the
question before what can't be undone, the full name of a style) is made here.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

import typer

from polyscribe.client import Client
from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, YesFlag, confirm, open_client, require_terminal
from polyscribe.errors import Object

# What a person gave, by the parameters' names, and more: `model`, the full name of a style; `found`, what the
# row's `find` returned; and later `answer`, what the service returned.
Facts = dict[str, Any]
Sentence = str | Callable[[Facts], str]  # a text takes its facts in braces: {model}@{version}
Column = str | Callable[[Object], object]  # a field's name, or what makes a cell of an object
Parameters = Mapping[str, object]  # its annotation; or (annotation, default)


@dataclass(frozen=True)
class Listing:
    """A command that prints a list."""

    name: str
    summary: str
    path: str  # with the facts in braces
    columns: Mapping[str, Column]
    parameters: Parameters = field(default_factory=dict)

    def run(self, context: typer.Context, given: Facts, *, as_json: bool) -> None:
        """Print every object, newest first."""
        with open_client(context) as client:
            entries = list(client.pages(fill_path(self.path, complete_facts(client, given))))
        if as_json:
            return show.print_json(entries)
        rows = [[cell_of(entry, column) for column in self.columns.values()] for entry in entries]
        show.print_table(tuple(self.columns), rows)


@dataclass(frozen=True)
class Change:
    """A command that changes something, and says so."""

    name: str
    summary: str
    method: str
    path: str  # with the facts in braces
    done: Sentence
    parameters: Parameters = field(default_factory=dict)
    body: Callable[[Facts], Object | None] | None = None  # before any log-in; may raise typer.BadParameter
    find: Callable[[Client, Facts], object] | None = None  # may raise NotFound, typer.BadParameter
    question: Sentence = ""  # for what can't be undone
    printed: Callable[[Facts], object] = lambda facts: facts["answer"]  # for programs
    note: Callable[[Facts], list[str]] = lambda _: []  # for people, beside `done`
    after: Callable[[Facts], None] = lambda _: None

    def run(self, context: typer.Context, given: Facts, *, as_json: bool) -> None:
        """Ask where that is needed, send the request, and print what came of it."""
        is_confirmed = given.pop("yes", True)
        require_terminal(is_confirmed)
        body = self.body(given) if self.body else None
        with open_client(context) as client:
            facts = complete_facts(client, given)
            facts["found"] = self.find(client, facts) if self.find else None
            confirm(say(self.question, facts), is_confirmed)
            facts["answer"] = client.request(self.method, fill_path(self.path, facts), body=body)
        show.print_answer(self.printed(facts), say(self.done, facts), as_json=as_json)
        for sentence in () if as_json else self.note(facts):
            show.print_note(sentence)
        self.after(facts)


def add_command(app: typer.Typer, row: Listing | Change) -> None:
    """Add the command that a row describes."""

    def run(context: typer.Context, as_json: bool, **given: Any) -> None:
        row.run(context, given, as_json=as_json)

    parameters = dict(row.parameters)
    if isinstance(row, Change) and row.question:
        parameters["yes"] = (YesFlag, False)
    parameters["as_json"] = (JsonFlag, False)
    described = [_describe_parameter("context", typer.Context)]
    described += [_describe_parameter(name, annotation) for name, annotation in parameters.items()]
    # typer reads a command's parameters from its signature.
    run.__signature__ = inspect.Signature(described)  # type: ignore[attr-defined]
    app.command(row.name, help=row.summary)(run)


def option(kind: object, default: object, *names: str, **facts: Any) -> tuple[object, object]:
    """Return an option of a row's parameters."""
    return Annotated[kind, typer.Option(*names, **facts)], default


def _describe_parameter(name: str, described: object) -> inspect.Parameter:
    annotation, default = described if isinstance(described, tuple) else (described, inspect.Parameter.empty)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def complete_facts(client: Client, given: Facts) -> Facts:
    """Return what was given, with the full name of the style."""
    return {**given, "model": client.full_name(given["style"])} if "style" in given else dict(given)


def fill_path(path: str, facts: Facts) -> str:
    """Return a path with its facts."""
    quoted = {name: quote(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
    return path.format_map(quoted)


def say(sentence: Sentence, facts: Facts) -> str:
    """Return a sentence with its facts."""
    return sentence(facts) if callable(sentence) else sentence.format_map(facts)


def cell_of(entry: Object, column: Column) -> object:
    """Return what stands in a column."""
    return entry[column] if isinstance(column, str) else column(entry)
