"""`usage`: what was used, and what it cost."""

from typing import Annotated, Any

import typer

from polyscribe.commands import show
from polyscribe.commands.session import JsonFlag, open_client

MEASURES = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("usage")(show_usage)


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
