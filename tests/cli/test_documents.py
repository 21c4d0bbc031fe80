"""The documents of the command line: their programs run, and their lists are whole."""

import re
from pathlib import Path

import pytest
import typer

from labs.broken_adapters import tiny_base, valid_adapter
from polyscribe.commands.main import EXIT_CODES, REFUSED, app
from stack.folders import ROOT

DOCUMENT = ROOT / "docs" / "cli.md"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class TrainedModel:
    """What a training script has at its end."""

    def save_pretrained(self, folder: str) -> None:
        valid_adapter(tiny_base()).write(Path(folder))


def programs() -> list[str]:
    """Return each Python program of the documents."""
    found = []
    for document in (DOCUMENT, ROOT / "cli" / "README.md"):
        found += PYTHON_BLOCK.findall(document.read_text())
    return found


@pytest.mark.parametrize("program", programs())
def test_a_program_of_the_documents_runs(program, client, service, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TrainedModel().save_pretrained("out/adapter")
    for _ in range(3):
        client.push("out/adapter", style="brand-voice")
    service.requests.clear()
    monkeypatch.setattr("polyscribe.Client", lambda: client)

    exec(program, {"model": TrainedModel()})

    assert service.requests


def test_every_command_is_in_the_document():
    text = DOCUMENT.read_text()
    for name, command in typer.main.get_command(app).commands.items():
        for inner in getattr(command, "commands", {"": None}):
            assert f"`{name} {inner}".rstrip() in text or f"`{inner}`" in text, (name, inner)
        assert f"`{name}" in text


def test_every_exit_code_is_in_the_document():
    for code in {REFUSED, *(code for _, code in EXIT_CODES)}:
        assert f"\n| {code} | " in DOCUMENT.read_text()
