"""What `make demo` tells a newcomer."""

import io
import textwrap
from types import SimpleNamespace

from stack.demo import announcement
from stack.folders import Folders
from stack.steps import Steps
from stack.whole import Seeded
from tests.documents import blocks

KEY = "sk-ps-" + "a" * 36


def test_the_demo_prints_the_guides_program_with_its_own_address_and_key(tmp_path):
    stack = SimpleNamespace(
        addresses=SimpleNamespace(site="http://127.0.0.1:8123"),
        steps=Steps(io.StringIO()),
        folders=Folders(tmp_path / "var"),
    )
    told = announcement(stack, Seeded(login="me@example.org", password="of-the-demo", api_key=KEY))

    [program] = blocks("docs/getting-started.md", language="python")
    assert textwrap.indent(program.text, "  ") in told
    assert f"  export OPENAI_BASE_URL=http://127.0.0.1:8123/v1 OPENAI_API_KEY={KEY}\n" in told
    assert "…" not in told
