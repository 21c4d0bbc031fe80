"""What docs/api.md says about events is so."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings

from events.models import EventType, OutboxEvent
from events.webhooks.delivery import render_event
from keys.actions import revoke_by_operator
from tests.documents import blocks
from tests.tenants.builders import issue_key

SECTION = re.compile(r"^## Receiving events\n(.*?)^## ", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `([a-z_.]+)` \|", re.MULTILINE)


def section() -> str:
    text = Path(settings.BASE_DIR, "docs", "api.md").read_text()
    match = SECTION.search(text)
    assert match is not None
    return match[1]


def test_every_type_of_event_is_documented():
    assert ROW.findall(section()) == EventType.values


def test_the_document_says_when_attempts_follow():
    """The schedule itself: core/test_outgoing.py."""
    assert "in 5 s, 1, 5, 15 and 30 minutes, 1, 2, 4 and 8 hours, then every 12" in section()


def test_the_block_that_verifies_a_delivery_runs_as_pasted(capsys):
    [program] = re.findall(r"^```python\n(.*?)^```$", section(), re.DOTALL | re.MULTILINE)
    exec(program, {})
    assert capsys.readouterr().out == "key.revoked newsletter\n"


@pytest.mark.django_db
def test_the_example_of_an_event_has_the_shape_of_a_real_one(acme, alice):
    [example] = [json.loads(block.text) for block in blocks("docs/api.md", language="json")]
    key, _ = issue_key(acme, name="newsletter", by=alice)
    revoke_by_operator(key)

    real = json.loads(render_event(OutboxEvent.objects.get(type=example["type"])))

    assert set(example) == set(real)
    assert set(example["data"]["object"]) <= set(real["data"]["object"])
    for name in ("object", "name"):
        assert example["data"]["object"][name] == real["data"]["object"][name]
