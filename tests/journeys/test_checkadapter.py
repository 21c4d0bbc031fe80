"""`manage.py checkadapter` against the real base model."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.folders import ROOT

STYLES = sorted(path.parent for path in (ROOT / "engine" / "styles").glob("*/adapter_model.safetensors"))


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "checkadapter", folder, "--base", os.environ["BASE_MODEL_DIR"]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_shipped_styles_are_valid(style):
    done = check(style)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "210 of 210 linear layers changed" in done.stdout


def test_a_broken_adapter_is_told_why_and_what_to_do(tmp_path):
    shutil.copytree(STYLES[0], tmp_path / "mine")
    weights = tmp_path / "mine" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = check(tmp_path / "mine")
    assert done.returncode == 1
    assert "1,000 bytes" in done.stdout + done.stderr
