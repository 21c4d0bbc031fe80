"""`polyscribe`: the commands put together, and what becomes of errors."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Annotated

import typer

import polyscribe
from polyscribe.commands import (
    check,
    completion,
    keys,
    login,
    mcp,
    profiles,
    push,
    raw,
    releases,
    show,
    styles,
    train,
    usage,
    verify,
    versions,
    webhooks,
    writing,
)
from polyscribe.commands.pipes import ReaderGone, drop_output, watch_output
from polyscribe.commands.session import Session, session_of
from polyscribe.errors import (
    BadAddress,
    BadKey,
    BadSettings,
    KeyOfAnotherService,
    LoginExpired,
    LoginRefused,
    NoSuchProfile,
    NotAllowed,
    NotConfirmed,
    NoTexts,
    NotLoggedIn,
    NotServingYet,
    PolyscribeError,
    RateLimited,
    StorageRefused,
    TrainingPaused,
    Unavailable,
    Unreachable,
)

DEBUG_VARIABLE = "POLYSCRIBE_DEBUG"
PROFILE_OPTION = "--profile"
REFUSED = 1
# (error, exit code). The first row that matches counts; all others are REFUSED. docs/cli.md lists the codes.
EXIT_CODES: tuple[tuple[type[PolyscribeError], int], ...] = (
    (BadAddress, 2),
    (BadKey, 4),
    (BadSettings, 2),
    (NoSuchProfile, 2),
    (NotConfirmed, 2),
    (NoTexts, 2),
    (Unreachable, 3),
    (Unavailable, 3),
    (StorageRefused, 3),
    (RateLimited, 3),
    (NotAllowed, 4),
    (NotLoggedIn, 4),
    (KeyOfAnotherService, 4),
    (LoginRefused, 4),
    (LoginExpired, 4),
    (NotServingYet, 5),
    (TrainingPaused, 5),
)

app = typer.Typer(
    name="polyscribe",
    help="Push writing styles to Polyscribe, release them and write with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
login.add_commands(app)
app.add_typer(profiles.app)
app.add_typer(styles.app)
styles.add_commands(app)
versions.add_commands(app)
push.add_commands(app)
train.add_commands(app)
check.add_commands(app)
verify.add_commands(app)
releases.add_commands(app)
writing.add_commands(app)
mcp.add_commands(app)
usage.add_commands(app)
app.add_typer(keys.app)
app.add_typer(webhooks.app)
raw.add_commands(app)


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
        return exit_code_of(error)
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


def exit_code_of(error: PolyscribeError) -> int:
    """Return the exit code that tells how a command failed."""
    for kind, code in EXIT_CODES:
        if isinstance(error, kind):
            return code
    return REFUSED
