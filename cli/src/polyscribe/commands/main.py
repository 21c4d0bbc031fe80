"""`polyscribe`: the commands put together, and what becomes of errors."""

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

import typer

import polyscribe
from polyscribe.commands import keys, login, push, releases, show, styles, usage, webhooks, writing
from polyscribe.commands.session import Session
from polyscribe.errors import (
    BadAddress,
    BadKey,
    BadSettings,
    KeyOfAnotherService,
    NotAllowed,
    NotLoggedIn,
    NotServingYet,
    PolyscribeError,
    RateLimited,
    StorageRefused,
    Unavailable,
    Unreachable,
)

DEBUG_VARIABLE = "POLYSCRIBE_DEBUG"
REFUSED = 1
# (error, exit code). The first row that matches counts; all others are REFUSED. docs/cli.md lists the codes.
EXIT_CODES: tuple[tuple[type[PolyscribeError], int], ...] = (
    (BadAddress, 2),
    (BadKey, 4),
    (BadSettings, 2),
    (Unreachable, 3),
    (Unavailable, 3),
    (StorageRefused, 3),
    (RateLimited, 3),
    (NotAllowed, 4),
    (NotLoggedIn, 4),
    (KeyOfAnotherService, 4),
    (NotServingYet, 5),
)

app = typer.Typer(
    name="polyscribe",
    help="Push writing styles to Polyscribe, release them, and write with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
login.add_commands(app)
styles.add_commands(app)
push.add_commands(app)
releases.add_commands(app)
writing.add_commands(app)
usage.add_commands(app)
app.add_typer(keys.app)
app.add_typer(webhooks.app)


def print_version(is_asked: bool) -> None:
    """Print the version and leave."""
    if is_asked:
        show.print_line(f"polyscribe {polyscribe.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Push writing styles to Polyscribe, release them, and write with them."""


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    if not os.environ.get(DEBUG_VARIABLE):
        sys.excepthook = tell_fault
    sys.exit(run(sys.argv[1:], Session()))


def tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell a fault of this program in a sentence; Python then exits with 1."""
    sentence = f"This is a fault of polyscribe itself ({kind.__name__}: {error})."
    show.print_note(f"{sentence} Please report it; {DEBUG_VARIABLE}=1 shows where it was.")


def run(arguments: Sequence[str], session: Session) -> int:
    """Run a command; return its exit code."""
    try:
        app(args=[*arguments], prog_name="polyscribe", obj=session)
    except PolyscribeError as error:
        if "--json" in arguments:
            show.print_json(show.describe_error(error))
        show.print_error(error)
        return exit_code_of(error)
    except SystemExit as done:  # how typer ends every command
        return done.code if isinstance(done.code, int) else 0
    return 0


def exit_code_of(error: PolyscribeError) -> int:
    """Return the exit code that tells how a command failed."""
    for kind, code in EXIT_CODES:
        if isinstance(error, kind):
            return code
    return REFUSED
