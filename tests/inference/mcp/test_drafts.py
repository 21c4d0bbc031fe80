"""`check_draft` and receipts, by the whole site: Django answers what the gateway doesn't."""

import socket
from collections.abc import AsyncIterator
from importlib import import_module

import pytest

from inference.server.server import Server
from provenance import checks
from provenance.receipts import issue_receipt
from tests.adapters.builders import known
from tests.adapters.evidence.cases import DRAFT, lay_evaluation
from tests.inference.mcp.conftest import connect, in_one_task
from tests.provenance.builders import record_answer
from tests.provenance.marked import KEY, encode, write
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("verifies")]
MARKED = write(90)


@pytest.fixture(autouse=True)
def marks(settings, monkeypatch) -> None:
    settings.WATERMARK_KEYS = {3: KEY}
    settings.RECEIPT_KEYS = {1: bytes(32)}
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(checks, "encode_text", encode)


@pytest.fixture
def keys(acme, registered_engine) -> dict[str, str]:
    """The secrets of two keys of Acme's, which has a style whose author is known."""
    lay_evaluation(known(acme, "letters", registered_engine), verifier=b"numbers")
    return {
        "narrow": issue_key(acme, name="a", by=None)[1],
        "wide": issue_key(acme, name="b", by=None, scopes=["inference", "styles:read"])[1],
    }


@pytest.fixture
async def site(gateway, keys) -> AsyncIterator[str]:
    asgi = import_module("config.asgi")  # loaded late: it builds the site's middleware

    async def with_gateway(scope, receive, send) -> None:
        await asgi.site(scope | {"state": {"gateway": gateway}}, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    async with in_one_task(asgi.mcp.run()), Server(with_gateway).listening(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_draft_is_checked_for_marks_and_for_its_author(site, keys):
    async with connect(site, keys["wide"]) as session:
        marked = (await session.call_tool("check_draft", {"text": MARKED})).structured_content
        assert (marked["watermark"]["verdict"], marked["author"]) == ("found", None)
        compared = await session.call_tool("check_draft", {"text": DRAFT, "style": "letters@1"})
    author = compared.structured_content["author"]
    assert (author["model"], author["percent"]) == ("acme/letters@1", 50)
    assert author["farthest"][0]["text"] == "Leveraging synergies is key."


@pytest.mark.parametrize(
    ("key", "style", "says"),
    [
        ("narrow", "letters", "styles:read"),
        ("wide", "nobodys", "No such style: “nobodys”."),
        ("wide", "../keys", "No such style"),
    ],
)
async def test_a_comparison_that_is_refused_says_what_helps(*, site, keys, key, style, says):
    async with connect(site, keys[key]) as session:
        result = await session.call_tool("check_draft", {"text": DRAFT, "style": style})
    assert result.is_error
    assert says in result.content[0].text
    assert "without `style`" in result.content[0].text


@pytest.fixture
def receipt(acme) -> str:
    record_answer(acme, "req_1", text=MARKED)
    return issue_receipt(acme, "req_1")


async def test_a_receipt_is_verified_with_its_text(site, keys, receipt):
    async with connect(site, keys["narrow"]) as session:
        result = await session.call_tool("check_draft", {"text": MARKED, "receipt": receipt})
    assert result.structured_content["receipt"]["outcome"] == "detected"
