"""OpenAI's official JavaScript client, unchanged: it sends forms and pages lists in its own way."""

from pathlib import Path

from tenants.models import Tenant
from tests.javascript import install_client, run_script
from tests.tenants.builders import issue_key
from tests.training.builders import make_chats


def test_it_uploads_trains_follows_and_cancels(address: str, acme: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "javascript"
    install_client(folder)
    content = make_chats()
    (folder / "chats.jsonl").write_bytes(content)
    _, secret = issue_key(acme, name="laptop", by=None, scopes=["styles:read", "styles:write"])

    heard = run_script(folder, "training.mjs", OPENAI_API_KEY=secret, OPENAI_BASE_URL=f"{address}/v1")

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
