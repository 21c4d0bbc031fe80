"""What is sent in parts is sent as it is made: no answer is first read into memory."""

import re

from config.static_files import StaticFileResponse
from stack.folders import ROOT

# Their parts come from asynchronous iterators, which Django sends as they come.
ASYNCHRONOUS = {
    "adapters/api/uploads.py",
    "inference/playground/calls.py",
    "metering/api.py",
    "tenants/views.py",
    "billing/views/usage.py",
}

MADE = re.compile(r"(= |return )(StreamingHttpResponse|FileResponse)\(")


def test_no_view_leaves_a_plain_iterator_to_django():
    found = set()
    for floor in (
        "core",
        "tenants",
        "events",
        "metering",
        "accounts",
        "adapters",
        "inference",
        "keys",
        "provenance",
        "training",
        "billing",
        "platform",
    ):
        for file in (ROOT / floor).rglob("*.py"):
            if MADE.search(file.read_text()):
                found.add(str(file.relative_to(ROOT)))
    assert found == ASYNCHRONOUS


async def test_a_static_file_is_sent_in_parts_by_an_asgi_server():
    with (ROOT / "static/css/base.css").open("rb") as file:
        parts = [part async for part in StaticFileResponse(file)]
    assert b"".join(parts) == (ROOT / "static/css/base.css").read_bytes()


def test_static_files_have_their_types(client):
    answer = client.get("/static/css/base.css")
    assert isinstance(answer, StaticFileResponse)
    assert answer["content-type"] == 'text/css; charset="utf-8"'
    assert b"".join(answer)
