"""Bodies of pages are bounded before anybody is known, by Django's own handler of them."""

import asyncio

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from config import page_bodies
from config.page_bodies import PageBodies

GONE = b"the client has left"
MIB = 1024 * 1024
MOST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pages():
    return PageBodies(ASGIHandler())


class Request:
    """A POST whose body's parts are put in one after the other; None ends it."""

    def __init__(self, pages: PageBodies, address: str, *headers: tuple[bytes, bytes]) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sent: list[dict] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/nothing/",
            "raw_path": b"/nothing/",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), *headers],
            "client": (address, 1),
            "server": ("localhost", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        self.running = asyncio.create_task(pages(scope, self.receive, self.send))

    async def receive(self) -> dict:
        part = await self.parts.get()
        if part == GONE:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(self, message) -> None:
        self.sent.append(message)

    async def status(self) -> int:
        await self.running
        return self.sent[0]["status"]

    async def read(self) -> None:
        """Wait until the application has read what was put in, or ended."""
        while not self.parts.empty() and not self.running.done():  # noqa: ASYNC110 a queue has no event
            await asyncio.sleep(0)
        await asyncio.wait([self.running], timeout=0.01)


async def post(pages, address, *parts) -> int:
    request = Request(pages, address)
    for part in (*parts, None):
        request.parts.put_nowait(part)
    return await request.status()


async def test_a_body_is_read_up_to_its_bound(pages):
    assert await post(pages, "192.0.2.1", b"x" * (MOST - 1), b"x") == 404
    assert await post(pages, "192.0.2.1", b"x" * MOST, b"x") == 413


async def test_one_client_takes_an_eighth_and_its_neighbour_is_served(pages):
    hog = [Request(pages, "2001:db8::1") for _ in range(40)]
    for request in hog:
        request.parts.put_nowait(b"x" * MIB)
    for request in hog:
        await request.read()
    refused = [request for request in hog if request.running.done()]
    assert 40 - len(refused) == pytest.approx(page_bodies.ALL_BYTES / MIB / 9, abs=1)
    assert {await request.status() for request in refused} == {503}
    assert await post(pages, "2001:db8::ffff", b"x" * MIB) == 503  # the same /64
    assert await post(pages, "2001:db8::1") == 404  # what has no body takes nothing
    assert await post(pages, "2001:db8:0:1::1", b"x" * MIB) == 404
    for request in hog:
        request.parts.put_nowait(None)
        await request.running
    assert await post(pages, "2001:db8::1", b"x" * MIB) == 404
    assert not pages._memory._taken
    assert not pages._unfinished


@pytest.mark.parametrize("first_part", [b"x", b""])
async def test_a_client_may_not_leave_many_bodies_unfinished(pages, first_part):
    slow = []
    for _ in range(page_bodies.UNFINISHED + 1):
        slow.append(Request(pages, "192.0.2.1", (b"content-length", b"9")))
        if first_part:
            slow[-1].parts.put_nowait(first_part)
        await slow[-1].read()
    assert await slow.pop().status() == 503
    assert await post(pages, "192.0.2.2", b"x", b"y") == 404
    for request in slow:
        request.parts.put_nowait(GONE)
        await request.running
    assert not pages._unfinished
