"""Texts that commands read from files."""

import sys
from pathlib import Path

import typer

STDIN = "-"


def read_text(file: Path) -> str:
    """Return a file's text. Raises typer.BadParameter for what is no text."""
    try:
        return sys.stdin.read() if str(file) == STDIN else file.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read. Name a file, such as draft.txt.") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not a plain text in UTF-8.") from error
