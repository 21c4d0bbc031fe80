"""`polyscribe`: the commands put together, and what becomes of errors and of output that nobody reads.

Those that know no kind of thing are here: `mcp`; `api`, any request as it is; `open`, a page in the browser.
"""

import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, TextIO

import typer
from typer import Argument, BadParameter, Context, Option

import polyscribe
from polyscribe import mcp_bridge
from polyscribe.commands import (
    completion,
    login,
    push,
    resources,
    show,
    styles,
    train,
    usage,
    webhooks,
    writing,
)
from polyscribe.commands.factory import add_commands
from polyscribe.commands.session import JsonFlag, Session, open_client, read_api_path, session_of
from polyscribe.errors import PolyscribeError
from polyscribe.settings import resolve_settings

DEBUG_VARIABLE = "POLYSCRIBE_DEBUG"
PROFILE_OPTION = "--profile"

app = typer.Typer(
    name="polyscribe",
    help="Push writing styles to Polyscribe, release them and write with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(login.login)
app.command()(login.logout)
add_commands(app, login.WHOAMI)
app.add_typer(login.profiles_app)
app.add_typer(styles.app)
app.command("select")(styles.select_style)
add_commands(app, resources.UNSELECT, resources.VERSIONS)
app.command()(push.push)
app.command()(train.train)
add_commands(app, writing.CHECK)
app.command()(writing.verify)
app.command()(writing.receipt)
add_commands(app, resources.PROMOTE, resources.ROLLBACK)
app.command()(styles.canary)
add_commands(app, resources.RETIRE)
app.command()(writing.chat)
app.command()(writing.compare)


@app.command()
def mcp(context: Context) -> None:
    """Serve styles as MCP tools over stdin and stdout, with your key. Programs such as Claude Desktop start
    this; stdout has nothing but messages. It ends when stdin ends."""
    mcp_bridge.serve(resolve_settings(profile=session_of(context).profile))


app.command("usage")(usage.show_usage)
app.command("requests")(usage.list_requests)
app.add_typer(resources.KEYS_APP)
app.add_typer(webhooks.app)


def print_version(is_asked: bool) -> None:
    if is_asked:
        show.print_line(f"polyscribe {polyscribe.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: Context,
    profile: Annotated[
        str,
        Option(
            PROFILE_OPTION,
            help="The profile to use. Default: POLYSCRIBE_PROFILE, or the current one.",
            autocompletion=completion.complete_profile,
        ),
    ] = "",
    version: Annotated[
        bool, Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Push writing styles to Polyscribe, release them and write with them."""
    context.obj = replace(session_of(context), profile=profile)


def main() -> None:
    sys.stdout = _watch(sys.stdout, 1)
    sys.stderr = _watch(sys.stderr, 2)
    if not os.environ.get(DEBUG_VARIABLE):
        sys.excepthook = tell_fault
    code = run(sys.argv[1:], Session())
    sys.stdout.flush()
    sys.exit(code)


def tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell a fault of this program in a sentence; Python then exits with 1."""
    sentence = f"This is a bug in polyscribe ({kind.__name__}: {error})."
    show.print_note(f"{sentence} Please report it. Set {DEBUG_VARIABLE}=1 to see the traceback.")


def run(arguments: Sequence[str], session: Session) -> int:
    try:
        app(args=profile_first(arguments), prog_name="polyscribe", obj=session)
    except PolyscribeError as error:
        if "--json" in arguments:
            show.print_json(show.describe_error(error))
        show.print_error(error)
        return error.exit_code
    except SystemExit as done:  # how typer ends every command
        return done.code if isinstance(done.code, int) else 0
    return 0


def profile_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with --profile in front, where it belongs: people also type it at the end."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    first: list[str] = []
    at = 0
    while at < end:
        count = 2 if words[at] == PROFILE_OPTION else int(words[at].startswith(f"{PROFILE_OPTION}="))
        first += words[at : at + count]
        del words[at : at + count]
        end -= count
        at += not count
    return first + words


class WatchedPipe(io.FileIO):
    """A file that ends the program once nobody reads it: rich and typer would end with a code of theirs."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            os._exit(0)


def _watch(stream: TextIO, descriptor: int) -> TextIO:
    stream.flush()
    pipe = io.BufferedWriter(WatchedPipe(descriptor, "w", closefd=False))
    is_at_once = stream.isatty() or descriptor == 2
    return io.TextIOWrapper(pipe, encoding=stream.encoding, errors=stream.errors, line_buffering=is_at_once)


@app.command("api")
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


@app.command("open")
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
