"""Every code block of README and docs is run by a test, or this file says why it is not.

Programs and commands that belong to a floor are run by that floor's tests (RUN_BY); the shell lines of
README.md, CONTRIBUTING.md and docs/running.md are tried here.
"""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from stack.folders import ROOT
from tests.documents import ALL, Block, blocks

HERE = "tests/website/test_code_blocks.py"
# Which test runs the blocks of a language in a document.
RUN_BY = {
    ("README.md", "sh"): HERE,
    ("CONTRIBUTING.md", "sh"): HERE,
    ("dev/bench/README.md", "sh"): HERE,
    ("cli/README.md", "python"): "tests/cli/test_documents.py",
    ("cli/README.md", "sh"): "tests/cli/test_documents.py",
    ("docs/adapters.md", "sh"): "tests/adapters/test_commands.py",
    ("docs/api.md", "json"): "tests/events/webhooks/test_documents.py",
    ("docs/api.md", "python"): "tests/journeys/test_documents.py",
    ("docs/api.md", "sh"): "tests/journeys/test_documents.py",
    ("docs/capacity.md", "sh"): "tests/adapters/test_commands.py",
    ("docs/cli.md", "python"): "tests/cli/test_documents.py",
    ("docs/cli.md", "sh"): "tests/cli/test_documents.py",
    ("docs/editors.md", "yaml"): "tests/inference/api/test_recorded_editors.py",
    ("docs/fine-tuning.md", "json"): "tests/training/openai_api/test_documents.py",
    ("docs/fine-tuning.md", "python"): "tests/training/openai_api/test_documents.py",
    ("docs/getting-started.md", "python"): "tests/journeys/test_documents.py",
    ("docs/mcp.md", "json"): "tests/inference/mcp/test_recipes.py",
    ("docs/mcp.md", "python"): "tests/inference/mcp/test_recipes.py",
    ("docs/mcp.md", "sh"): "tests/inference/mcp/test_recipes.py",
    ("docs/writing.md", "json"): "tests/drafts/test_documents.py",
    ("docs/running.md", "caddy"): "tests/stack/test_proxies.py",
    ("docs/running.md", "nginx"): "tests/stack/test_proxies.py",
    ("docs/running.md", "sh"): HERE,
    ("docs/running.md", "yaml"): "tests/stack/test_compose.py",
}
# What is not run as it stands, by how it begins, and why. What can be read of it is checked nevertheless.
NOT_RUN = {
    "make ": "takes minutes to hours, and this may be part of it; `make -n` must know the target",
    "docker compose ": "needs a registry, or `make trial NAME=compose`; services and commands are checked",
    "editor ": "waits for a person",
    "./install.sh": "changes this machine: see tests/stack/test_install.py; its options are checked",
    ".venv/bin/python -m stack run --services --var var/dev ": "serves until Ctrl-C: see test_runserver.py",
    "BENCH_TARGETS=": "measures for a minute with both cores; its program and its variables are checked",
}
DRAWN = {"", "mermaid"}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def lines(beginning: str) -> list[tuple[Block, str]]:
    """Return the commands of this file's documents that begin so, each with its block."""
    documents = [
        document for (document, language), test in RUN_BY.items() if (test, language) == (HERE, "sh")
    ]
    found = []
    for block in blocks(*documents, language="sh"):
        found += [(block, command) for command in block.commands() if command.startswith(beginning)]
    return found


def test_every_block_is_run_by_a_test():
    languages = {(block.document, block.language) for block in blocks(*ALL) if block.language not in DRAWN}

    assert languages == set(RUN_BY)
    for (document, language), test in RUN_BY.items():
        text = (ROOT / test).read_text()
        assert "tests.documents" in text, f"{test} does not read {language} of {document}"


def test_a_block_without_a_language_is_a_drawing():
    for block in blocks(*ALL, language=""):
        first = block.text.split(maxsplit=1)[0]
        assert first not in {"make", "docker", "python", "pip", "uv", "curl", "$"}, f"{block} has no language"
        assert not first.startswith((".venv/", "./")), f"{block} has no language"
        assert "─" in block.text or "→" in block.text or "  " in block.text, f"{block} is no drawing"


def test_every_line_is_run_or_says_why_not():
    told = {beginning: 0 for beginning in NOT_RUN}
    for block, command in lines(""):
        [*reasons] = [beginning for beginning in NOT_RUN if command.startswith(beginning)]
        is_run = (block, command) in RUN
        assert len(reasons) + is_run == 1, f"{block}: {command}"
        for beginning in reasons:
            told[beginning] += 1
    assert all(told.values()), told


@pytest.mark.parametrize(("block", "command"), lines("make "), ids=str)
def test_make_knows_the_target(block, command):
    dry = command.replace("make", "make -n", 1)

    done = subprocess.run(dry, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, f"{block}: {done.stderr}"
    assert done.stdout.strip()


@pytest.mark.parametrize(("block", "command"), lines("docker compose "), ids=str)
def test_compose_has_the_services_and_they_have_the_commands(block, command):
    _, _, action, *words = command.partition(" python manage.py ")[0].split()
    named = [word for word in words if word in COMPOSE["services"]]
    if action in {"run", "exec"}:  # what follows the service is the service's own
        words = words[: words.index(named[0])]

    assert action in {"up", "build", "stop", "run", "exec"}, block
    assert named or action in {"up", "build"}, f"{block} names no service of docker-compose.yml"
    strange = set(words) - set(named) - {"-d", "--build", "--rm", "-v", "-T", "--profile"}
    assert all(word.startswith("/") for word in strange), f"{block}: {strange}"
    managed = command.partition(" python manage.py ")[2]
    if managed:
        parse_managed(managed.split())


@pytest.mark.parametrize(("block", "command"), lines("./install.sh"), ids=str)
def test_the_installer_has_the_options(block, command):
    script = (ROOT / "install.sh").read_text()
    for word in command.partition("#")[0].split()[1:]:
        if word.startswith("--") or word.isalpha():
            assert word in script, f"{block}: {word}"


def parse_managed(words: list[str]) -> None:
    """Read a line of manage.py with the command's own parser; it ends the test where the line is wrong."""
    name, *arguments = words
    application = get_commands()[name]
    command = application if not isinstance(application, str) else load_command_class(application, name)
    command.create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize(("block", "command"), lines("BENCH_TARGETS="), ids=str)
def test_a_bench_knows_its_variables(block, command):
    variables = [word.partition("=")[0] for word in command.split() if "=" in word]
    module = command.split(" -m ")[1]
    sources = "".join(path.read_text() for path in (ROOT / "dev" / "bench").glob("*.py"))

    assert (ROOT / "dev" / f"{module.replace('.', '/')}.py").exists(), block
    for variable in variables:
        assert f'"{variable}"' in sources, f"{block}: {variable}"


RUN = lines(".venv/bin/python -m stack run --services -- ")


@pytest.mark.parametrize(("block", "command"), RUN, ids=str)
def test_a_command_beside_the_services_runs_as_pasted(block, command, tmp_path: Path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTEST_ADDOPTS": "--collect-only -q",  # those tests have their own run
    }

    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )

    assert done.returncode == 0, f"{block}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert "tests collected" in done.stdout
