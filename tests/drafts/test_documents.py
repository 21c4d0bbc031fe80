"""What docs/writing.md says to programs."""

import json

from drafts.prompts import PROMPTS
from inference.contract.requests import parse_request
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
