"""`chat`, `compare`: write in a style."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import read_version_name
from polyscribe.commands.session import JsonFlag, StyleArgument, open_client
from polyscribe.errors import PolyscribeError

MaxTokens = Annotated[int | None, typer.Option(min=1, help="Maximum output tokens.")]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=2, help="Sampling temperature; 0 always picks the likeliest token.")
]


def chat(
    context: typer.Context,
    *,
    prompt: Annotated[str, typer.Argument(help="The prompt; - reads stdin.")] = "",
    style: Annotated[
        str,
        typer.Option(
            help="A style or one of its versions: brand-voice@3.", autocompletion=completion.complete_style
        ),
    ] = "base",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    as_json: JsonFlag = False,
) -> None:
    """Write in a style. Without a prompt, start a conversation (Ctrl-D ends it)."""
    options = given_options(max_tokens=max_tokens, temperature=temperature)
    if prompt == "-" or not (prompt or sys.stdin.isatty()):
        prompt = sys.stdin.read()
    if as_json and not prompt:
        raise typer.BadParameter("--json requires a prompt.")
    with open_client(context) as client:
        if as_json:
            text = client.chat.complete(style, prompt, **options)
            return show.print_json({"model": style, "text": text})
        if prompt:
            print_stream(client.chat.stream(style, prompt, **options))
        else:
            converse(client, style, options)


def compare(
    context: typer.Context,
    *,
    style: StyleArgument,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A version's number, live or canary.",
            callback=read_version_name,
            autocompletion=completion.complete_version,
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="The other one.",
            callback=read_version_name,
            autocompletion=completion.complete_version,
        ),
    ],
    prompt: Annotated[str, typer.Option(help="The prompt for both.")],
    max_tokens: MaxTokens = None,
    temperature: Temperature = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Compare the answers of two versions of a style to the same prompt."""
    options = given_options(max_tokens=max_tokens, temperature=temperature)
    models = [f"{style}@{a}", f"{style}@{b}"]
    with open_client(context) as client, ThreadPoolExecutor(len(models)) as pool:
        texts = list(pool.map(lambda model: client.chat.complete(model, prompt, **options), models))
    if as_json:
        answers = [{"model": model, "text": text} for model, text in zip(models, texts, strict=True)]
        return show.print_json({"prompt": prompt, "answers": answers})
    show.print_beside(models, texts)


def given_options(**options: float | None) -> dict[str, float]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def converse(client: Client, style: str, options: dict[str, float]) -> None:
    """Answer what is typed, line by line, until Ctrl-D. A failed answer does not end the conversation."""
    show.print_note(f"Writing with {style}. Press Ctrl-C to stop an answer, Ctrl-D to end the conversation.")
    messages: list[dict[str, str]] = []
    while True:
        try:
            typed = input("> ").strip()
        except EOFError:
            return show.print_line("")
        if not typed:
            continue
        messages.append({"role": "user", "content": typed})
        try:
            text = print_stream(client.chat.stream(style, messages, **options))
        except PolyscribeError as error:
            show.print_error(error)
            messages.pop()
            continue
        except KeyboardInterrupt:
            show.print_line("")
            messages.pop()
            continue
        messages.append({"role": "assistant", "content": text})


def print_stream(pieces: Iterable[str]) -> str:
    """Print an answer as it is written; return it whole."""
    written = []
    for piece in pieces:
        written.append(piece)
        sys.stdout.write(show.printable(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")
    return "".join(written)
