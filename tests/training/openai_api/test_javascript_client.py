"""OpenAI's official JavaScript client, unchanged: it sends forms and pages lists in its own way."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.folders import ROOT
from tenants.public import issue_key
from tests.training.openai_api.conftest import make_chats

SCRIPT = ROOT / "tests" / "journeys" / "javascript"


def run(folder: Path, *command: str, **variables: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="no node or npm")
def test_it_uploads_trains_follows_and_cancels(address, acme, tmp_path):
    folder = tmp_path / "javascript"
    shutil.copytree(SCRIPT, folder, ignore=shutil.ignore_patterns("node_modules"))
    run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    content = make_chats()
    (folder / "chats.jsonl").write_bytes(content)
    _, secret = issue_key(acme, name="laptop", by=None, scopes=["styles:read", "styles:write"])

    told = run(folder, "node", "training.mjs", OPENAI_API_KEY=secret, OPENAI_BASE_URL=f"{address}/v1")

    heard = json.loads(told)
    assert (heard["file"]["filename"], heard["file"]["bytes"]) == ("chats.jsonl", len(content))
    assert heard["content"] == len(content)
    assert heard["expiring"]["expires_at"] == heard["expiring"]["created_at"] + 3600
    assert heard["files"] == [heard["expiring"]["id"], heard["file"]["id"]]
    assert heard["job"]["method"]["supervised"]["hyperparameters"]["n_epochs"] == 2
    assert heard["found"] == [heard["job"]["id"]]
    assert heard["cancelled"] == "cancelled"
    assert heard["events"][0] == "The job was cancelled."
    assert "Created fine-tuning job" in heard["events"][-1]
    assert heard["checkpoints"] == []
    assert heard["deleted"] == {"id": heard["expiring"]["id"], "object": "file", "deleted": True}
    assert heard["refused"] == {"status": 409, "code": "training_moved", "name": "ConflictError"}
