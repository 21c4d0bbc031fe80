"""The documents of the command line: their programs run, and their lists are whole."""

import shlex
from pathlib import Path

import pytest
import typer

from polyscribe import errors
from polyscribe.commands.main import app
from stack.folders import ROOT
from tests.cli.conftest import adapter_of_rank
from tests.cli.service import BASE_URL
from tests.documents import FOR_THE_COMMAND_LINE, blocks

DOCUMENT = ROOT / "docs" / "cli.md"
# What is not run as it stands, and why.
NOT_RUN = {
    "pip install ./cli": "installs from a registry; tests/journeys/test_cli.py installs the package",
    "uv tool install ./cli": "likewise",
    "polyscribe --install-completion": "writes into the start file of a person's shell",
    "polyscribe train my-voice chapters/*.docx": "asks a person: tests/cli/test_train.py",
    "polyscribe train my-voice --text - --yes < novel.txt": "a shell reads the file: likewise",
    "polyscribe train my-voice chapters/*.docx --no-wait": "asks a person: likewise",
    "polyscribe train --follow ID": "needs a training's id: likewise",
}

SEND_NOTHING = {"profiles"}  # they are this machine's own


class TrainedModel:
    """What a training script has at its end."""

    def save_pretrained(self, folder: str) -> None:
        adapter_of_rank(1).write(Path(folder))


@pytest.fixture
def trained(tmp_path, monkeypatch) -> TrainedModel:
    """A model whose adapter is in out/adapter of the working folder."""
    monkeypatch.chdir(tmp_path)
    trained = TrainedModel()
    trained.save_pretrained("out/adapter")
    return trained


def lines() -> list[str]:
    """Return each shell line of the documents that is run."""
    found = [line for block in blocks(*FOR_THE_COMMAND_LINE, language="sh") for line in block.commands()]
    assert set(NOT_RUN) <= set(found)
    return [line for line in dict.fromkeys(found) if line not in NOT_RUN]


@pytest.mark.parametrize("line", lines())
@pytest.mark.usefixtures("trained")
def test_a_line_of_the_documents_runs(line, logged_in, service, api_key, request):
    program, *words = shlex.split(line)
    assert program == "polyscribe"

    if words[0] != "push":
        request.getfixturevalue("writer")
    if "--canary" in words:  # beside a version that is live
        assert logged_in(*words[: words.index("--canary")]).code == 0
    done = logged_in(*words, stdin=f"{BASE_URL}\n{api_key}\n" if words == ["login"] else "")

    assert done.code == 0, done.err
    assert service.requests or words[0] in SEND_NOTHING


@pytest.mark.parametrize("block", blocks(*FOR_THE_COMMAND_LINE, language="python"), ids=str)
def test_a_program_of_the_documents_runs(block, client, trained, request, monkeypatch):
    if ".train(" in block.text:
        request.getfixturevalue("trains")
        request.getfixturevalue("chapters")
    elif ".push(" not in block.text:
        request.getfixturevalue("writer")
    monkeypatch.setattr("polyscribe.Client", lambda: client)

    exec(block.text, {"model": trained})

    assert request.getfixturevalue("service").requests


def test_every_command_is_in_the_document():
    text = DOCUMENT.read_text()
    for name, command in typer.main.get_command(app).commands.items():
        for inner in getattr(command, "commands", {"": command}):
            assert f"`{name} {inner}".rstrip() in text or f"`{inner}`" in text, (name, inner)
        assert f"`{name}" in text


def test_every_exit_code_is_in_the_document():
    raised = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    codes = {one.exit_code for one in raised}
    assert codes >= {1, 2, 3, 4, 5}
    for code in codes:
        assert f"\n| {code} | " in DOCUMENT.read_text()
