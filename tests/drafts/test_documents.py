"""What docs/writing.md says to programs, and how large a file may be."""

import json
import re

import pytest

from core.sizes import MIB
from drafts.actions import MAX_FILE_BYTES
from drafts.prompts import PROMPTS
from inference.contract.requests import parse_request
from inference.server.server import DEFAULT_LIMITS
from tests.documents import ROOT, blocks
from training.runs.rewriting import SAMPLING


def test_a_program_can_send_what_the_page_sends():
    [block] = blocks("docs/writing.md")
    request = json.loads(block.text)
    text = "We will commence the meeting at nine."
    assert request["messages"][0]["content"] == PROMPTS["en"]["rewrite"].format(text=text)
    assert {name: request[name] for name in SAMPLING} == SAMPLING
    assert PROMPTS["de"]["rewrite"].partition("\n")[0] in (ROOT / "docs" / "writing.md").read_text()
    assert parse_request("chat", block.text.encode()).model == "acme/my-voice"


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("deploy/Caddyfile", r"request_body @others {\s+max_size (\d+)MiB"),
        ("deploy/kubernetes/base/ingress.yaml", r"proxy-body-size: (\d+)m"),
        ("docs/running.md", r"client_max_body_size (\d+)m"),
        ("docs/running.md", r"request_body @others {\s+max_size (\d+)MiB"),
    ],
)
def test_a_file_that_the_page_takes_passes_the_proxies_and_the_server(file, pattern):
    found = re.search(pattern, (ROOT / file).read_text())
    assert found
    sent_bytes = MAX_FILE_BYTES + 10_000  # the form around it
    assert sent_bytes < min(int(found[1]) * MIB, DEFAULT_LIMITS.body_bytes)
