"""`usage` and `requests`: what was used and what it cost; what became of each request."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from typer import BadParameter, Context, Option

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.session import JsonFlag, open_client, read_day, read_groups, session_of
from polyscribe.commands.show import clock, count, dollars, moment
from polyscribe.errors import Object

MEASURES = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")
LOG = ("at", "request_id", "style", "outcome", "prompt_tokens", "completion_tokens", "cost_usd", "reason")
# Title and form of fields that people read otherwise than programs.
WORDS: dict[str, tuple[str, Callable[[Any], str | None]]] = {
    "at": ("WHEN", moment),
    "request_id": ("REQUEST", str),
    "requests": ("REQUESTS", count),
    "prompt_tokens": ("PROMPT TOKENS", count),
    "completion_tokens": ("COMPLETION TOKENS", count),
    "cost_usd": ("COST", dollars),
}
POLL_S = 2.0
FIRST_SHOWN = 10  # before the first new one
MOST_AT_ONCE = 1000  # in two seconds

StyleFilter = Annotated[
    str,
    Option("--style", help="Filter by style, with its full name.", autocompletion=completion.complete_style),
]


def show_usage(
    context: Context,
    *,
    group_by: Annotated[
        str, Option(callback=read_groups, help="day, style, key or version, separated by commas.")
    ] = "day",
    start: Annotated[
        str,
        Option(
            callback=read_day, help="Start date (UTC), such as 2026-11-01. Default: the first of this month."
        ),
    ] = "",
    end: Annotated[str, Option(callback=read_day, help="End date (UTC, exclusive). Default: tomorrow.")] = "",
    style: StyleFilter = "",
    as_csv: Annotated[bool, Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the workspace's usage."""
    with open_client(context) as client:
        report = client.get("/usage", {"group_by": group_by, "start": start, "end": end, "style": style})
    fields = (*group_by.split(","), *MEASURES)
    if as_json:
        show.print_json(report)
    elif as_csv:
        show.print_csv(fields, report["data"])
    else:
        total = {**dict.fromkeys(fields), **report["total"], fields[0]: "total"}
        show.print_table(_columns(fields), [*report["data"], total])


def _columns(fields: Sequence[str]) -> show.Columns:
    columns: dict[str, Callable[[Object], object]] = {}
    for field in fields:
        title, form = WORDS.get(field, (field.upper(), lambda value: value))
        columns[title] = lambda entry, field=field, form=form: form(entry[field])  # type: ignore[misc]
    return columns


def list_requests(
    context: Context,
    *,
    outcome: Annotated[
        Literal["complete", "broken", "refused"] | None, Option(help="Filter by outcome.")
    ] = None,
    style: StyleFilter = "",
    limit: Annotated[int, Option(min=1, help="Number of requests, newest first.")] = 20,
    follow: Annotated[
        bool, Option("--follow", "-f", help="Print new requests as they arrive, until Ctrl-C.")
    ] = False,
    as_csv: Annotated[bool, Option("--csv", help="Print CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the latest requests with their outcome, and the reason for failures."""
    if follow and as_csv:
        raise BadParameter("--follow prints lines. Use --json for programs.")
    wanted = {"outcome": outcome, "style": style}
    with open_client(context) as client:
        if follow:
            for entry in _follow(context, client, wanted):
                _print_request(entry, as_json=as_json)
        found = list(islice(client.pages("/requests", wanted), limit))
    if as_json:
        show.print_json(found)
    elif as_csv:
        show.print_csv(LOG, found)
    else:
        show.print_table(_columns(LOG), found)


def _follow(context: Context, client: Client, wanted: dict[str, str | None]) -> Iterator[Object]:
    """Yield a few of the newest requests, then new ones as they come, each once, the oldest first."""
    known: set[str] = set()
    most = FIRST_SHOWN
    while True:
        newest = list(islice(client.pages("/requests", wanted), most))
        for entry in reversed(newest):
            if entry["request_id"] not in known:
                yield entry
        # One that is no longer listed is older than all listed ones, so it need not be remembered.
        known = {entry["request_id"] for entry in newest} or known
        most = MOST_AT_ONCE
        session_of(context).retries.sleep(POLL_S)


def _print_request(entry: Object, *, as_json: bool) -> None:
    if as_json:
        return show.print_json(entry, indent=None)
    tokens = f"{count(entry['prompt_tokens'])} + {count(entry['completion_tokens'])} tokens"
    facts = entry["reason"] or f"{tokens}, {dollars(entry['cost_usd'])}"
    show.print_line(f"{clock(entry['at'])}  {entry['outcome']:<8}  {entry['style']}  {facts}")
