"""`polyscribe`: the commands put together, and what becomes of errors and of output that nobody reads."""

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Annotated, TextIO

import typer

import polyscribe
from polyscribe.commands import (
    completion,
    login,
    mcp,
    push,
    raw,
    resources,
    show,
    styles,
    train,
    usage,
    verify,
    webhooks,
    writing,
)
from polyscribe.commands.session import Session, session_of
from polyscribe.errors import PolyscribeError

DEBUG_VARIABLE = "POLYSCRIBE_DEBUG"
PROFILE_OPTION = "--profile"
STDOUT, STDERR = 1, 2

app = typer.Typer(
    name="polyscribe",
    help="Push writing styles to Polyscribe, release them and write with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(login.login)
app.command()(login.logout)
app.command()(login.whoami)
app.add_typer(login.profiles_app)
app.add_typer(styles.app)
app.command("select")(styles.select_style)
resources.add_commands(app, ("unselect", "versions"))
app.command()(push.push)
app.command()(train.train)
app.command()(verify.check)
app.command()(verify.verify)
app.command()(verify.receipt)
resources.add_commands(app, ("promote", "rollback"))
app.command()(styles.canary)
resources.add_commands(app, ("retire",))
app.command()(writing.chat)
app.command()(writing.compare)
app.command("mcp")(mcp.serve)
app.command("usage")(usage.show_usage)
app.command("requests")(usage.list_requests)
app.add_typer(resources.keys_app)
app.add_typer(webhooks.app)
app.command("api")(raw.send_request)
app.command("open")(raw.open_page)


def print_version(is_asked: bool) -> None:
    """Print the version and leave."""
    if is_asked:
        show.print_line(f"polyscribe {polyscribe.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    profile: Annotated[
        str,
        typer.Option(
            PROFILE_OPTION,
            help="The profile to use. Default: POLYSCRIBE_PROFILE, or the current one.",
            autocompletion=completion.complete_profile,
        ),
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Push writing styles to Polyscribe, release them and write with them."""
    context.obj = replace(session_of(context), profile=profile)


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    watch_output()
    if not os.environ.get(DEBUG_VARIABLE):
        sys.excepthook = tell_fault
    try:
        code = run(sys.argv[1:], Session())
        sys.stdout.flush()
    except ReaderGone:
        code = 0
        drop_output()
    sys.exit(code)


def tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell a fault of this program in a sentence; Python then exits with 1."""
    sentence = f"This is a bug in polyscribe ({kind.__name__}: {error})."
    show.print_note(f"{sentence} Please report it. Set {DEBUG_VARIABLE}=1 to see the traceback.")


def run(arguments: Sequence[str], session: Session) -> int:
    """Run a command; return its exit code. Raises ReaderGone."""
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
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == PROFILE_OPTION:
            first += [word, *islice(words, 1)]
        elif word.startswith(f"{PROFILE_OPTION}="):
            first.append(word)
        else:
            rest.append(word)
    return first + rest


class ReaderGone(Exception):
    """The output is no longer read."""


class WatchedPipe(io.FileIO):
    """A file that raises ReaderGone: for BrokenPipeError, rich and typer would end with a code of theirs."""

    def write(self, data: object) -> int:
        """Write bytes. Raises ReaderGone."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise ReaderGone from None


def watch_output() -> None:
    """Let everything that is printed from now on raise ReaderGone once its reader is gone."""
    sys.stdout = _watch(sys.stdout, STDOUT)
    sys.stderr = _watch(sys.stderr, STDERR)


def drop_output() -> None:
    """Throw away what is still to be printed, so that nothing complains about it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (STDOUT, STDERR):
        os.dup2(nowhere, descriptor)


def _watch(stream: TextIO, descriptor: int) -> TextIO:
    stream.flush()
    pipe = io.BufferedWriter(WatchedPipe(descriptor, "w", closefd=False))
    is_at_once = stream.isatty() or descriptor == STDERR
    return io.TextIOWrapper(pipe, encoding=stream.encoding, errors=stream.errors, line_buffering=is_at_once)
