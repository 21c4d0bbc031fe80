"""What commands print: a program that reads it gets each line as it is."""

import sys

import pytest

from polyscribe.commands import show
from polyscribe.errors import PolyscribeError

LONG = "eyJ" + "x" * 997
WORDS = "rain " * 300


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_result_of_one_line_is_one_line(capsys, monkeypatch, is_terminal):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    show.print_line(LONG)
    show.print_line(WORDS)
    assert capsys.readouterr().out == f"{LONG}\n{WORDS}\n"


def test_a_table_in_a_pipe_has_one_line_for_each_row(capsys):
    show.print_table({"ID": "id", "NAME": "name"}, [{"id": LONG, "name": WORDS}, {"id": "b", "name": None}])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NAME"]
    assert first.split()[0] == LONG
    assert second.strip() == "b"


def test_texts_in_a_pipe_stand_one_after_the_other(capsys):
    show.print_beside(["a@1", "a@2"], [WORDS, "Snow."])
    assert capsys.readouterr().out == f"a@1:\n{WORDS}\n\na@2:\nSnow.\n\n"


def test_notes_and_errors_in_a_pipe_are_one_line(capsys):
    show.print_note(WORDS)
    show.print_error(PolyscribeError(WORDS))
    assert capsys.readouterr().err.count("\n") == 2
