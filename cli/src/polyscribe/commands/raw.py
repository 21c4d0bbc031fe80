"""`api`: any request of the API as it is. `open`: the page of a thing in the browser."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import Method, read_api_path
from polyscribe.commands.session import JsonFlag, open_client


def send_request(
    context: typer.Context,
    *,
    method: Annotated[Method, typer.Argument(case_sensitive=False, help="HTTP method.")],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", callback=read_api_path, help="Path, such as /styles or /v1/models. See docs/api."
        ),
    ],
    query: Annotated[
        list[str] | None, typer.Option("--query", "-q", help="Query parameter name=value; repeat for more.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-f", help="Body field name=value; the value can be JSON. Repeat for more."),
    ] = None,
    body_file: Annotated[str, typer.Option("--input", help="File with the JSON body; - reads stdin.")] = "",
    all_pages: Annotated[
        bool, typer.Option("--paginate", help="Fetch all pages of a list and print one object per line.")
    ] = False,
) -> None:
    """Send a request to the API with your key and print the JSON response."""
    fields = {name: read_value(value) for name, value in read_pairs(field).items()}
    if fields and body_file:
        raise typer.BadParameter("use --field or --input, not both.")
    if all_pages and method is not Method.GET:
        raise typer.BadParameter("--paginate requires GET.")
    parameters = read_pairs(query)
    body = read_body(body_file) if body_file else fields or None
    with open_client(context) as client:
        if all_pages:
            for entry in client.pages(path, parameters):
                show.print_raw(json.dumps(entry, ensure_ascii=False))
            return
        answer = client.request(method.value, path, query=parameters, body=body)
    if answer:
        show.print_json(answer)


def open_page(
    context: typer.Context,
    page: Annotated[
        str,
        typer.Argument(
            metavar="[PAGE|STYLE]",
            help=f"One of {', '.join(completion.PAGES)}; or a style.",
            autocompletion=completion.complete_page,
        ),
    ] = "home",
    only_print: Annotated[bool, typer.Option("--print", help="Print the URL instead of opening it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Open a page of the service in your browser, such as usage, keys or a style."""
    with open_client(context) as client:
        address = f"{client.settings.base_url}{path_of(client, page)}?workspace={client.workspace}"
    if as_json:
        return show.print_json({"url": address})
    show.print_line(address)
    if not only_print:
        typer.launch(address)


def path_of(client: Client, page: str) -> str:
    """Return the path of a page or of a style's page. Raises NotFound."""
    if page in completion.PAGES:
        return completion.PAGES[page]
    style = client.find_style(page)
    return f"/styles/{style['owner']}/{style['slug']}/"


def read_pairs(written: list[str] | None) -> dict[str, str]:
    """Return name → value. Raises typer.BadParameter for what is no pair."""
    pairs = {}
    for pair in written or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"“{pair}” is not name=value.")
        pairs[name] = value
    return pairs


def read_value(written: str) -> object:
    """Return a value of a body: as JSON if it is some, else as a text."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def read_body(file: str) -> object:
    """Return the body in a file or in stdin. Raises typer.BadParameter."""
    try:
        return json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} can't be read as JSON ({error}).") from error
