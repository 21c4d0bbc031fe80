"""`usage` and `requests`: what was used and what it cost; what became of each request."""

from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, open_client

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


class Outcome(StrEnum):
    """What became of a request."""

    COMPLETE = "complete"
    BROKEN = "broken"
    REFUSED = "refused"


def add_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("usage")(show_usage)
    app.command("requests")(list_requests)


def show_usage(
    context: typer.Context,
    *,
    group_by: Annotated[str, typer.Option(help="day, style, key, version; several by commas.")] = "day",
    start: Annotated[str, typer.Option(help="First UTC day, 2026-11-01; else the month's first.")] = "",
    end: Annotated[str, typer.Option(help="First UTC day that is not counted; else tomorrow.")] = "",
    style: Annotated[str, typer.Option(help="Only this style, by its full name.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Sum up the workspace's usage."""
    groups = [group.strip() for group in group_by.split(",")]
    with open_client(context) as client:
        report = client.usage.sum(groups, start=start, end=end, style=style)
    if as_json:
        return show.print_json(report)
    columns = (*groups, *MEASURES)
    rows = [usage_row(entry, columns) for entry in report["data"]]
    if as_csv:
        return show.print_csv(columns, rows)
    total = usage_row(report["total"], columns)
    total[0] = "total"
    titles = [column.replace("_", " ").upper() for column in columns]
    show.print_table(titles, [*rows, total])


def usage_row(entry: dict[str, Any], columns: tuple[str, ...]) -> list[object]:
    """Return a sum as a row of a table."""
    return [entry[column] for column in columns]


def list_requests(
    context: typer.Context,
    *,
    outcome: Annotated[Outcome | None, typer.Option(help="Only those that ended so.")] = None,
    style: Annotated[str, typer.Option(help="Only this style, by its full name.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the newest requests: what became of each, and why one was refused or broke off."""
    with open_client(context) as client:
        wanted = outcome.value if outcome else None
        found = list(islice(client.usage.requests(outcome=wanted, style=style), limit))
    if as_json:
        return show.print_json(found)
    rows = [usage_row(entry, LOG_COLUMNS) for entry in found]
    if as_csv:
        return show.print_csv(LOG_COLUMNS, rows)
    show.print_table([column.replace("_", " ").upper() for column in LOG_COLUMNS], rows)
