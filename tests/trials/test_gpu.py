"""That `make trial NAME=gpu` says what it could not do, and never that it went well."""

import json
import subprocess
import sys

from stack.folders import ROOT


def test_a_machine_without_pytorch_runs_nothing_and_says_so(tmp_path):
    out = tmp_path / "gpu.json"
    command = [
        sys.executable,
        "-P",
        "dev/trials/gpu.py",
        "--out",
        str(out),
    ]  # the site's environment has no torch

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert json.loads(out.read_text())["parts"]["machine"]["why"] == "not installed: torch"
    assert "0 passed, 0 failed, 1 not run" in done.stdout
