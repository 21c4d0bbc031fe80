"""What docs/api.md says about events is so."""

import re
from pathlib import Path

from django.conf import settings

from tenants.models import EventType
from tenants.webhooks.delivery import RETRY_AFTER_S

SECTION = re.compile(r"^## Receiving events\n(.*?)^## ", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `([a-z_.]+)` \|", re.MULTILINE)


def section() -> str:
    text = Path(settings.BASE_DIR, "docs", "api.md").read_text()
    match = SECTION.search(text)
    assert match is not None
    return match[1]


def test_every_type_of_event_is_documented():
    assert ROW.findall(section()) == EventType.values


def test_the_attempts_are_those_of_the_document():
    assert "in 5 s, 1, 5, 15 and 30 minutes, 1, 2, 4 and 8 hours, then every 12" in section()
    minute, hour = 60, 3600
    assert (
        5, minute, 5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 8 * hour, 12 * hour
    ) == RETRY_AFTER_S  # fmt: skip


def test_the_block_that_verifies_a_delivery_runs_as_pasted(capsys):
    [program] = re.findall(r"^```python\n(.*?)^```$", section(), re.DOTALL | re.MULTILINE)
    exec(program, {})
    assert capsys.readouterr().out == "key.revoked newsletter\n"
