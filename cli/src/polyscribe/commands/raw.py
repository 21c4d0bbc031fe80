"""`api`: any request of the API as it is. `open`: the page of a thing in the browser."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, BadParameter, Context, Option

from polyscribe.commands import completion, show
from polyscribe.commands.choices import read_api_path
from polyscribe.commands.session import JsonFlag, open_client


def send_request(
    context: Context,
    *,
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"], Argument(case_sensitive=False, help="HTTP method.")
    ],
    path: Annotated[
        str,
        Argument(
            metavar="PATH", callback=read_api_path, help="Path, such as /styles or /v1/models. See docs/api."
        ),
    ],
    query: Annotated[
        list[str] | None, Option("--query", "-q", help="Query parameter name=value; repeat for more.")
    ] = None,
    field: Annotated[
        list[str] | None,
        Option("--field", "-f", help="Body field name=value; the value can be JSON. Repeat for more."),
    ] = None,
    body_file: Annotated[str, Option("--input", help="File with the JSON body; - reads stdin.")] = "",
    all_pages: Annotated[
        bool, Option("--paginate", help="Fetch all pages of a list and print one object per line.")
    ] = False,
) -> None:
    """Send a request to the API with your key and print the JSON response."""
    fields = {name: _read_value(value) for name, value in _read_pairs(field).items()}
    if fields and body_file:
        raise BadParameter("use --field or --input, not both.")
    if all_pages and method != "GET":
        raise BadParameter("--paginate requires GET.")
    parameters = _read_pairs(query)
    body = _read_body(body_file) if body_file else fields or None
    with open_client(context) as client:
        if all_pages:
            for entry in client.pages(path, parameters):
                show.print_json(entry, indent=None)
            return
        answer = client.request(method, path, query=parameters, body=body)
    if answer:
        show.print_json(answer)


def open_page(
    context: Context,
    page: Annotated[
        str,
        Argument(
            metavar="[PAGE|STYLE]",
            help=f"One of {', '.join(completion.PAGES)}; or a style.",
            autocompletion=completion.complete_page,
        ),
    ] = "home",
    only_print: Annotated[bool, Option("--print", help="Print the URL instead of opening it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Open a page of the service in your browser, such as usage, keys or a style."""
    with open_client(context) as client:
        path = completion.PAGES.get(page)
        if path is None:
            style = client.find_style(page)
            path = f"/styles/{style['owner']}/{style['slug']}/"
        address = f"{client.settings.base_url}{path}?workspace={client.workspace}"
    show.print_answer({"url": address}, address, as_json=as_json)
    if not (only_print or as_json):
        typer.launch(address)


def _read_pairs(written: list[str] | None) -> dict[str, str]:
    pairs = {}
    for pair in written or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise BadParameter(f"“{pair}” is not name=value.")
        pairs[name] = value
    return pairs


def _read_value(written: str) -> object:
    """Return a value of a body: as JSON if it is some, else as a text."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def _read_body(file: str) -> object:
    try:
        return json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadParameter(f"{file} can't be read as JSON ({error}).") from error
