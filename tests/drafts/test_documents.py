"""What docs/writing.md says to programs."""

import json
import re
from pathlib import Path

from drafts.prompts import PROMPTS
from inference.contract.requests import parse_request

GUIDE = (Path(__file__).parents[2] / "docs" / "writing.md").read_text()


def test_a_program_can_send_what_the_page_sends():
    [block] = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    request = json.loads(block)
    text = "We will commence the meeting at nine."
    assert request["messages"][0]["content"] == PROMPTS["en"]["rewrite"].format(text=text)
    assert PROMPTS["de"]["rewrite"].partition("\n")[0] in GUIDE
    assert parse_request("chat", block.encode()).model == "acme/my-voice"
