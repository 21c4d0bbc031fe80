"""What `make check` says of what it could not look at."""

import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import yaml

from stack import auditing, checking, checks, clients, manifests
from stack.checks import Outcome, closing_line, once
from stack.folders import ROOT
from stack.steps import Steps

AWAY = "not audited: no database was reached, none of 900 pins was compared (PyPI: ConnectionError)"


def read(title: str, code: int, printed: str) -> Outcome:
    return Outcome.read(title, code, printed)


def test_the_closing_line_counts_what_passed_and_failed():
    outcomes = [read("code", 0, "All checks passed!\n"), read("types", 1, "error"), read("site", 0, "")]
    assert closing_line(outcomes) == "2 passed, 1 failed"


def test_the_closing_line_says_that_nothing_was_audited_and_counts_it_as_skipped():
    outcomes = [read("code", 0, ""), read("known vulnerabilities", 0, f"note: 3 pins\n{AWAY}\n")]
    line = closing_line(outcomes)
    assert line.startswith("1 passed, 0 failed, 1 skipped: known vulnerabilities not audited: ")
    assert "\n" not in line


def test_a_check_that_failed_is_no_skipped_one():
    assert closing_line([read("clients", 1, "not checked: npm is not installed")]) == "0 passed, 1 failed"


@pytest.mark.parametrize(
    ("title", "on_ci", "passed"),
    [
        ("known vulnerabilities", "true", True),
        ("browser scripts", "", True),
        ("browser scripts", "true", False),
    ],
)
def test_what_could_not_be_looked_at_is_not_ticked_and_fails_on_ci_but_for_exceptions(title, on_ci, passed):
    out = TextIOWrapper(BytesIO(), "utf-8")
    one = (title, [sys.executable, "-c", f"print({AWAY!r}); print('note: and more')"])
    outcome = checking._run_check(one, variables={**os.environ, "CI": on_ci}, steps=Steps(out))
    said = out.buffer.getvalue().decode()
    assert outcome.passed is passed
    assert ("- " if passed else "✗ ") + title in said
    assert AWAY in said
    assert "note: and more" in said
    assert "✓" not in said


@pytest.mark.parametrize(
    "check", [checks.check_alerts, clients.check_scripts, clients.check_document, manifests.check]
)
def test_a_check_without_its_program_says_that_it_could_not_look(check, monkeypatch, capsys, tmp_path):
    document = tmp_path / "openapi.json"
    monkeypatch.setattr(clients, "DOCUMENT", document)
    monkeypatch.setattr(clients, "check_site", document.touch)
    monkeypatch.setattr("stack.checks.FOLDER", tmp_path / "passed")
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert check() == 0
    assert capsys.readouterr().out.startswith("not checked: ")
    assert not (tmp_path / "passed").exists()


def test_what_passed_is_read_again_once_it_changed(monkeypatch, tmp_path):
    monkeypatch.setattr("stack.checks.FOLDER", tmp_path / "passed")
    file = tmp_path / "file"
    codes = iter([1, 0, 0])
    file.write_text("first")
    assert [once("name", [file], lambda: next(codes)) for _ in range(3)] == [1, 0, 0]
    file.write_text("second")
    assert once("name", [file], lambda: next(codes)) == 0
    assert next(codes, "no more") == "no more"


def test_every_script_of_a_shell_is_checked():
    command = ["git", "grep", "-lE", "^#!.*(/|env )(ba)?sh$", ":!tests"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == checking.find_shell_scripts()


def test_a_warning_of_redocly_is_a_fault():
    clients.require_no_problems('{"problems": []}')
    problem = '{"severity": "warn", "ruleId": "info-license", "message": "No license."}'
    with pytest.raises(clients.Fault, match="info-license"):
        clients.require_no_problems(f'{{"problems": [{problem}]}}')


def test_a_lock_that_a_database_did_not_compare_is_not_audited(monkeypatch, capsys):
    def ask(pins, options):
        if "vllm" in pins:
            raise auditing.DatabaseAway("ConnectionError")
        return auditing.Report(compared=1, unknown=(), found=())

    monkeypatch.setattr(auditing, "ask", ask)
    monkeypatch.setattr(auditing, "read_uv_lock", lambda: "django==6.1.3")
    assert auditing.audit() == 0
    said = capsys.readouterr().out
    assert "dev/stack/api_clients/python.txt, engine/locks/cpu.txt, engine/locks/cuda.txt" in said
    assert "pins compared with PyPI" in said


def test_the_hooks_of_pre_commit_are_checks_that_make_check_runs_with_the_same_programs():
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    programs = str(Path(sys.executable).parent)
    for hook in local["hooks"]:
        command = hook["entry"].replace(".venv/bin", programs).split()
        assert checking.commands()[hook["id"]] == command
