"""What the stack leaves on the disk: for its owner alone, without secrets, and not a line for every task."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone  # after all others, so that the logs are full


@pytest.fixture(scope="module")
def var() -> Path:
    return Path(os.environ["DEMO_SECRETS_FILE"]).parent


@pytest.fixture(scope="module")
def logs(var) -> list[Path]:
    found = sorted((var / "log").glob("*.log*"))
    names = {file.name for file in found}
    assert {"web.log", "worker-housekeeping.log", "engine.log", "seaweed.log", "seed.log"} <= names
    return found


def test_folders_and_files_are_their_owners_alone(var, logs):
    entries = [*var.iterdir(), *logs, *(var / "run").iterdir()]

    assert [entry for entry in entries if stat.S_IMODE(entry.lstat().st_mode) & 0o077] == []


def test_no_log_holds_a_secret(var, logs):
    secrets = {
        **json.loads((var / "secrets.json").read_text()),
        **json.loads((var / "demo.json").read_text()),
    }
    del secrets["login"]  # a name

    found = {
        (file.name, name)
        for file in logs
        for name, secret in secrets.items()
        if secret in file.read_text(errors="replace")
    }

    assert found == set()


def test_a_task_that_went_well_leaves_no_line(logs):
    """The timetable has a task every second: with two lines each, an idle site wrote 123 MB a day."""
    lines = [line for file in logs for line in file.read_text(errors="replace").splitlines()]

    about_tasks = re.compile(r"Sending due task|Task .* (received|succeeded in)")
    assert [line for line in lines if about_tasks.search(line)] == []
