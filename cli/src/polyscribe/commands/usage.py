"""`usage` and `requests`: what was used and what it cost; what became of each request."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import Outcome, read_day, read_groups
from polyscribe.commands.session import JsonFlag, open_client, session_of
from polyscribe.commands.show import clock, count, dollars, moment
from polyscribe.errors import Object

LOG_COLUMNS = (
    "at",
    "request_id",
    "style",
    "outcome",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "reason",
)
MEASURES = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")
WORDS: dict[str, Callable[[Any], str | None]] = {
    "at": moment,
    "requests": count,
    "prompt_tokens": count,
    "completion_tokens": count,
    "cost_usd": dollars,
}
TITLES = {
    "at": "WHEN",
    "request_id": "REQUEST",
    "prompt_tokens": "PROMPT TOKENS",
    "completion_tokens": "COMPLETION TOKENS",
    "cost_usd": "COST",
}
POLL_S = 2.0
FIRST_SHOWN = 10  # before the first new one
MOST_AT_ONCE = 1000  # in two seconds

StyleFilter = Annotated[
    str,
    typer.Option(
        "--style", help="Filter by style, with its full name.", autocompletion=completion.complete_style
    ),
]


def show_usage(
    context: typer.Context,
    *,
    group_by: Annotated[
        str, typer.Option(callback=read_groups, help="day, style, key or version, separated by commas.")
    ] = "day",
    start: Annotated[
        str,
        typer.Option(
            callback=read_day, help="Start date (UTC), such as 2026-11-01. Default: the first of this month."
        ),
    ] = "",
    end: Annotated[
        str, typer.Option(callback=read_day, help="End date (UTC, exclusive). Default: tomorrow.")
    ] = "",
    style: StyleFilter = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the workspace's usage."""
    groups = group_by.split(",")
    with open_client(context) as client:
        report = client.get("/usage", {"group_by": group_by, "start": start, "end": end, "style": style})
    if as_json:
        return show.print_json(report)
    columns = (*groups, *MEASURES)
    if as_csv:
        return show.print_csv(columns, [exact_row(entry, columns) for entry in report["data"]])
    total = usage_row(report["total"], columns)
    total[0] = "total"
    rows = [usage_row(entry, columns) for entry in report["data"]]
    show.print_table([TITLES.get(column, column.upper()) for column in columns], [*rows, total])


def exact_row(entry: Object, columns: tuple[str, ...]) -> list[object]:
    """Return an object's fields as a program reads them."""
    return [entry[column] for column in columns]


def usage_row(entry: Object, columns: tuple[str, ...]) -> list[object]:
    """Return an object's fields as a person reads them."""
    return [WORDS[column](entry[column]) if column in WORDS else entry[column] for column in columns]


def list_requests(
    context: typer.Context,
    *,
    outcome: Annotated[Outcome | None, typer.Option(help="Filter by outcome.")] = None,
    style: StyleFilter = "",
    limit: Annotated[int, typer.Option(min=1, help="Number of requests, newest first.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new requests as they arrive, until Ctrl-C.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the latest requests with their outcome, and the reason for failures."""
    if follow and as_csv:
        raise typer.BadParameter("--follow prints lines. Use --json for programs.")
    wanted = outcome.value if outcome else ""
    with open_client(context) as client:
        if follow:
            for entry in follow_requests(context, client, outcome=wanted, style=style):
                print_request(entry, as_json=as_json)
        found = list(islice(client.pages("/requests", {"outcome": wanted, "style": style}), limit))
    if as_json:
        return show.print_json(found)
    if as_csv:
        return show.print_csv(LOG_COLUMNS, [exact_row(entry, LOG_COLUMNS) for entry in found])
    titles = [TITLES.get(column, column.upper()) for column in LOG_COLUMNS]
    show.print_table(titles, [usage_row(entry, LOG_COLUMNS) for entry in found])


def follow_requests(context: typer.Context, client: Client, *, outcome: str, style: str) -> Iterator[Object]:
    """Yield a few of the newest requests, then new ones as they come, each once, the oldest first."""
    known: set[str] = set()
    most = FIRST_SHOWN
    while True:
        newest = list(islice(client.pages("/requests", {"outcome": outcome, "style": style}), most))
        for entry in reversed(newest):
            if entry["request_id"] not in known:
                yield entry
        # One that is no longer listed is older than all listed ones, so it need not be remembered.
        known = {entry["request_id"] for entry in newest} or known
        most = MOST_AT_ONCE
        session_of(context).retries.sleep(POLL_S)


def print_request(entry: Object, *, as_json: bool) -> None:
    """Print what became of a request, on a line."""
    if as_json:
        return show.print_raw(json.dumps(entry, ensure_ascii=False))
    tokens = f"{count(entry['prompt_tokens'])} + {count(entry['completion_tokens'])} tokens"
    facts = entry["reason"] or f"{tokens}, {dollars(entry['cost_usd'])}"
    show.print_line(f"{clock(entry['at'])}  {entry['outcome']:<8}  {entry['style']}  {facts}")
