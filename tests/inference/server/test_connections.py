"""The bounds of one connection, over real sockets."""

import asyncio
import contextlib
import dataclasses
import gc
import socket
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from core.http import DISCONNECT
from inference.server.connection import READ_BYTES, HttpConnection
from inference.server.server import Limits, Server
from tests.waiting import PATIENCE_S

CHECK_EVERY_S = 0.02
QUICK = Limits(
    check_every_s=CHECK_EVERY_S,
    connections=4,
    connections_per_address=3,
    headers_within_s=5,
    body_silent_for_s=5,
    body_within_s=200,
    body_after_answer_s=5,
    unread_for_s=5,
    body_bytes=100_000,
    idle_for_s=5,
)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class App:
    """Answers `ok`, or does what `answer` does; notes what it was asked and who hung up."""

    def __init__(self):
        self.asked, self.gone, self.answer = 0, asyncio.Event(), None

    async def __call__(self, scope, receive, send):
        self.asked += 1
        if self.answer:
            return await self.answer(receive, send)
        await self.read(receive)
        await self.say(send, b"ok", length=True)

    async def read(self, receive):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                raise asyncio.CancelledError
            if not message.get("more_body"):
                return

    async def say(self, send, body, *, length=False, status=200):
        headers = [(b"content-length", b"%d" % len(body))] if length else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def saying(self, body, *, reads=True, **options):
        """Return an `answer` that says one thing, after it read the request or at once."""

        async def answer(receive, send):
            if reads:
                await self.read(receive)
            await self.say(send, body, **options)

        return answer

    async def stream_until_hang_up(self, receive, send):
        """Write for as long as the client is there."""
        await self.read(receive)
        writing = asyncio.create_task(self.write_on(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()
        self.gone.set()

    async def write_on(self, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"word " * 2000, "more_body": True})
            await asyncio.sleep(0)


@pytest.fixture
def app():
    return App()


@asynccontextmanager
async def serving(app, limits, trusted_proxies=()) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with Server(app, limits, trusted_proxies).listening(listener):
        yield port


@pytest.fixture
async def port(app):
    async with serving(app, QUICK) as port:
        yield port


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def told(port, *parts):
    """Send some bytes; return all that is answered until the server ends the connection."""
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(reader.read(), PATIENCE_S)
    return b""


@pytest.mark.parametrize(
    "head", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n", b"\r\n", b"POST / HTTP/1.1\r\nx: "]
)
async def test_headers_that_are_not_finished_are_not_waited_for(app, port, head):
    assert (await told(port, head)).startswith(b"HTTP/1.1 408 ")
    assert app.asked == 0


async def test_a_connection_that_stays_is_not_kept_by_empty_lines(app, port):
    answered = await told(port, GET, b"\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert app.asked == 1


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n"],
        [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n", *[b"x: " + b"a" * 50_000 + b"\r\n"] * 100],
        [b"GET / HTTP/1.1\r\nx: ", *[b"a" * 50_000] * 100],
    ],
    ids=["whole", "address", "many", "one without end"],
)
async def test_headers_that_are_too_large_are_refused(app, port, parts):
    answered = await told(port, *parts)
    assert answered.startswith(b"HTTP/1.1 431 ") or (len(parts) > 1 and not answered)  # or a reset came first
    assert app.asked == 0


async def test_a_body_that_stays_away_is_told_to_the_app(app, port):
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc"
    assert (await told(port, head)).startswith(b"HTTP/1.1 408 ")
    await asyncio.wait_for(app.gone.wait(), PATIENCE_S)


async def test_a_body_without_end_is_cut_off(app, port):
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with connected(port) as (_, writer):
        writer.write(head)
        while not app.asked:  # noqa: ASYNC110 the app has no event for it
            await asyncio.sleep(0.01)
        writer.write((b"2710\r\n" + b"a" * 10_000 + b"\r\n") * 50)
        await asyncio.wait_for(app.gone.wait(), PATIENCE_S)


async def test_a_body_of_one_byte_chunks_costs_little_and_its_framing_counts(app, port):
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with connected(port) as (reader, writer):
        writer.write(head)
        while not app.asked:  # noqa: ASYNC110 the app has no event for it
            await asyncio.sleep(0.01)
        began_s = time.process_time()
        # A third of the body's bound in bytes of content, twice of it on the wire.
        writer.write(b"1\r\na\r\n" * (QUICK.body_bytes // 3))
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413 ")
        assert time.process_time() - began_s < 1


def test_a_turn_of_the_loop_reads_little_of_a_client_that_sends_fast(app, monkeypatch):
    """libuv itself reads on while there is something: 32 times, so megabytes of tiny chunks in one turn."""
    turn, read_bytes = 0, Counter()
    buffer_updated = HttpConnection.buffer_updated

    def counting(self, nbytes):
        read_bytes[turn] += nbytes
        buffer_updated(self, nbytes)

    def next_turn():
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(next_turn)

    async def flood() -> None:
        body = b"1\r\na\r\n" * 200_000 + b"0\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        limits = dataclasses.replace(QUICK, body_bytes=10_000_000, body_silent_for_s=1000, body_within_s=1000)
        async with serving(app, limits) as port, connected(port) as (reader, writer):
            next_turn()
            writer.write(head + body)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")

    monkeypatch.setattr(HttpConnection, "buffer_updated", counting)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(flood())
    assert sum(read_bytes.values()) > 1_200_000
    assert max(read_bytes.values()) <= READ_BYTES


async def test_a_refused_body_in_chunks_is_not_parsed_to_its_end(app, port, monkeypatch):
    parsed = []
    on_body = HttpConnection.on_body
    monkeypatch.setattr(HttpConnection, "on_body", lambda self, body: (parsed.append(1), on_body(self, body)))
    app.answer = app.saying(b"no", reads=False, length=True, status=401)
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" in head
        writer.write(b"1\r\na\r\n" * 10_000)
        assert await reader.read() == b"no"
    assert not parsed


async def test_a_path_is_decoded_once(app):
    seen = []

    async def note(scope, receive, send):
        seen.append(scope["path"])
        await app(scope, receive, send)

    limits = dataclasses.replace(QUICK, file_paths=("/v1/files",), body_bytes=10)
    async with serving(note, limits) as port:
        answered = await told(port, b"GET /a%252fb%2fc HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200 ")
        long = b" HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n" + b"a" * 11
        assert (await told(port, b"POST /v1/%66iles" + long)).startswith(b"HTTP/1.1 200 ")
        assert (await told(port, b"POST /v1/%2566iles" + long)).startswith(b"HTTP/1.1 413 ")
    assert seen[:2] == ["/a%2fb/c", "/v1/files"]


async def test_empty_lines_between_requests_have_a_bound(app, port):
    async with connected(port) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        rest = b"reset"  # which may come before the refusal is read
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b"\r\n" * 5_000)
                await writer.drain()
            rest = (await reader.read()) or b"closed as idle"
        assert rest == b"reset" or b"HTTP/1.1 431 " in rest
    assert app.asked == 1


async def test_what_follows_a_body_in_chunks_is_neither_kept_nor_without_end(app, port):
    seen = []

    async def note(scope, receive, send):
        seen.append(dict(scope["headers"]))
        await app(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving(note, QUICK) as own_port:
        answered = await told(own_port, head + b"1\r\na\r\n0\r\nx-evil: 1\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200 ")
        flood = await told(own_port, head + b"0\r\n", *[b"x: " + b"a" * 10_000 + b"\r\n"] * 100)
        assert not flood or flood.startswith(b"HTTP/1.1 431 ")
    assert [b"x-evil" in headers for headers in seen] == [False] * len(seen)


async def test_an_early_answer_reaches_a_client_that_is_still_sending(app, port):
    app.answer = app.saying(b"no", reads=False, length=True, status=401)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 90000\r\n\r\n"
    async with connected(port) as (reader, writer):
        writer.write(head)
        await asyncio.sleep(0.05)
        writer.write(b"a" * 90_000)
        assert (await reader.read()).endswith(b"no")


async def test_a_hang_up_after_a_long_body_is_told(app):
    gone = asyncio.Event()

    async def watching(scope, receive, send):
        await app.read(receive)
        scope["extensions"][DISCONNECT].watch_disconnect(gone.set)
        app.gone.set()
        await gone.wait()

    limits = dataclasses.replace(QUICK, body_bytes=1_000_000)
    async with serving(watching, limits) as port, connected(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + b"a" * 300_000)
        await asyncio.wait_for(app.gone.wait(), PATIENCE_S)
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), PATIENCE_S)


async def test_an_answer_is_over_with_its_last_declared_byte(app, port):
    async def late(receive, send):
        await app.read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    app.answer = late
    async with connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(GET)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("has_begun", [False, True])
async def test_an_app_that_fails_is_answered_for(app, port, has_begun):
    async def fail(receive, send):
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise ValueError("of this test")

    app.answer = fail
    assert (await told(port, GET)).startswith(b"HTTP/1.1 500 ")


async def test_a_client_that_reads_slowly_gets_all_of_it(app, port):
    body = b"word " * 400_000
    app.answer = app.saying(body, length=True)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, GET)
        received = 0
        while received < len(body):
            part = await loop.sock_recv(client, 40_000)
            assert part
            received += len(part)
            await asyncio.sleep(CHECK_EVERY_S / 4)


async def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(app, port):
    app.answer = app.saying(b"no", reads=False, length=True, status=413)
    answered = await told(port, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\nabc")
    assert answered.count(b"HTTP/1.1") == 1
    assert answered.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_does_not_read_is_let_go(app, port):
    app.answer = app.stream_until_hang_up
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(GET)
        await asyncio.wait_for(app.gone.wait(), PATIENCE_S)


async def test_a_long_answer_is_not_ended(app, port, monkeypatch):
    checks, enough = 0, asyncio.Event()
    check_deadlines = HttpConnection.check_deadlines

    def counting(self):
        nonlocal checks
        checks += 1
        if checks > 20:
            enough.set()
        check_deadlines(self)

    async def slow(receive, send):
        await app.read(receive)
        await enough.wait()
        await app.say(send, b"ok", length=True)

    monkeypatch.setattr(HttpConnection, "check_deadlines", counting)
    app.answer = slow
    assert (await told(port, GET)).startswith(b"HTTP/1.1 200 ")


async def test_connections_are_bounded_for_an_address_and_in_all(app, port):
    async with connected(port), connected(port), connected(port):
        assert (await told(port, GET)).startswith(b"HTTP/1.1 503 ")
    async with asyncio.timeout(PATIENCE_S):
        while not (await told(port, GET)).startswith(b"HTTP/1.1 200 "):  # once it noticed that they are gone
            pass


async def test_a_request_behind_another_one_is_not_served_and_harms_no_answer(app, port):
    answered = await told(port, GET + GET)
    assert answered.count(b"HTTP/1.1 200 ") == 1
    assert answered.endswith(b"ok")
    assert app.asked == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 200),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h\r\ncontent-length: 1\r\n\r\na",
            501,
        ),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x/y?z HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        (b"GET /\xc3\xa4 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nhost: x\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET /  HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200),
    ],
)
async def test_other_protocols_and_odd_addresses_get_a_clear_answer(app, port, head, status):
    assert (await told(port, head)).startswith(b"HTTP/1.1 %d " % status)
    assert app.asked == (status == 200)


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
async def test_a_client_that_asks_whether_to_send_its_body_is_told_to(app, port, expect):
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: %b\r\ncontent-length: 2\r\n\r\n" % expect)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_is_read_no_faster_than_the_app_takes_it(app):
    go, sizes = asyncio.Event(), []

    async def slow(scope, receive, send):
        await go.wait()
        has_more = True
        while has_more:
            message = await receive()
            sizes.append(len(message["body"]))
            has_more = message["more_body"]
        await app.say(send, b"ok", length=True)

    body = b"a" * 5_000_000
    limits = dataclasses.replace(QUICK, body_bytes=len(body), body_silent_for_s=1000, body_within_s=1000)
    async with serving(slow, limits) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.2)
        go.set()
        await reader.readuntil(b"ok")
    assert sum(sizes) == len(body)
    assert max(sizes) < 1_000_000


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], "127.0.0.1"),
        ([b"203.0.113.5"], "203.0.113.5"),
        ([b"198.51.100.1, 203.0.113.5"], "203.0.113.5"),
        ([b"198.51.100.1", b"203.0.113.5, 127.0.0.1"], "203.0.113.5"),
        ([b"127.0.0.1"], "127.0.0.1"),
        ([b"nonsense"], "nonsense"),
    ],
)
async def test_a_proxys_word_is_taken_for_its_client_if_the_proxy_is_trusted(forwarded, client):
    seen = []

    async def note(scope, receive, send):
        seen.append((scope["client"][0], scope["scheme"]))
        await App().say(send, b"ok", length=True)

    headers = b"".join(b"x-forwarded-for: %b\r\n" % value for value in forwarded)
    head = b"GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-proto: https\r\n" + headers + b"\r\n"
    async with serving(note, QUICK, ["127.0.0.0/8"]) as port:
        await told(port, head)
    async with serving(note, QUICK) as port:
        await told(port, head)
    assert seen == [(client, "https"), ("127.0.0.1", "http")]


async def test_a_stop_waits_for_the_answer_that_is_being_written(app):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        begun.set()
        await go_on.wait()
        await app.say(send, b"ok", length=True)

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = Server(slow, QUICK)
    async with contextlib.AsyncExitStack() as stack:
        serving_until_stopped = server.listening(listener, graceful_stop_s=PATIENCE_S)
        await serving_until_stopped.__aenter__()
        reader, writer = await stack.enter_async_context(connected(port))
        idle_reader, _ = await stack.enter_async_context(connected(port))
        writer.write(GET)
        await begun.wait()
        stopping = asyncio.create_task(serving_until_stopped.__aexit__(None, None, None))
        assert await idle_reader.read() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not stopping.done()
        go_on.set()
        answer = await reader.read()
        assert b"connection: close" in answer
        assert answer.endswith(b"ok")
        await stopping


async def test_a_client_of_http_1_0_gets_no_chunks(app, port):
    async def stream(receive, send):
        await app.read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for word in (b"one ", b"two ", b""):
            await send({"type": "http.response.body", "body": word, "more_body": bool(word)})

    app.answer = stream
    head, _, body = (await told(port, b"GET / HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"one two "
    head, _, body = (await told(port, GET)).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head


async def test_a_hang_up_is_told_although_another_request_was_sent_behind(app, port):
    app.answer = app.stream_until_hang_up
    async with connected(port) as (reader, writer):
        writer.write(GET + GET)
        await reader.readline()
        writer.transport.abort()
        await asyncio.wait_for(app.gone.wait(), PATIENCE_S)
    assert app.asked == 1


async def test_what_comes_before_the_answer_is_bounded(app, port):
    app.answer = app.stream_until_hang_up
    await told(port, *[GET * 1000] * 50)
    await asyncio.wait_for(app.gone.wait(), PATIENCE_S)
    assert app.asked == 1


async def pieces(port):
    """Return what arrives of an answer, write by write."""
    arrived = []

    class Client(asyncio.Protocol):
        def data_received(self, data):
            arrived.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Client, "127.0.0.1", port)
    transport.write(GET)
    async with asyncio.timeout(PATIENCE_S):
        while not arrived or not b"".join(arrived).endswith((b"0\r\n\r\n", b"body")):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    transport.close()
    return arrived


@pytest.mark.parametrize("has_length", [True, False])
async def test_an_answers_head_and_body_are_one_write(app, port, has_length):
    app.answer = app.saying(b"body", length=has_length)
    [whole] = await pieces(port)
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nbody" if has_length else b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


async def test_a_streams_head_does_not_wait_for_its_first_part(app, port):
    has_head = asyncio.Event()

    async def answer(receive, send):
        await app.read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await has_head.wait()
        await send({"type": "http.response.body", "body": b"late", "more_body": False})

    app.answer = answer
    async with connected(port) as (reader, writer):
        writer.write(GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        assert b"transfer-encoding: chunked" in head
        has_head.set()
        assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), PATIENCE_S) == b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\rb", b"a\nb", b"a\0b", b"a\x7f", b"a\r"])
async def test_no_header_holds_another_one(app, port, value):
    async def answer(receive, send):
        await app.read(receive)
        headers = [(b"content-length", b"0"), (b"x-said", value)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    app.answer = answer
    assert (await told(port, GET)).startswith(b"HTTP/1.1 500 ")


async def test_an_answered_request_is_freed_without_the_garbage_collector(app, port):
    cycles = []

    async def answer(scope, receive, send):
        cycles.append(weakref.ref(send.__self__))
        await app.read(receive)
        await app.say(send, b"ok", length=True)

    gc.disable()
    try:
        async with serving(answer, QUICK) as own_port, connected(own_port) as (reader, writer):
            for _ in range(3):
                writer.write(GET)
                await reader.readuntil(b"ok")
            # the connection keeps the last one until the next one comes
            assert [cycle() is None for cycle in cycles] == [True, True, False]
    finally:
        gc.enable()


async def test_a_hang_up_calls_back_whoever_watches_for_it(app, port):
    calls = []

    async def watching(scope, receive, send):
        await app.read(receive)
        scope["extensions"][DISCONNECT].watch_disconnect(lambda: calls.append(1))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await app.gone.wait()

    async with serving(watching, QUICK) as own_port:
        async with connected(own_port) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            assert calls == []
        async with asyncio.timeout(PATIENCE_S):
            while not calls:  # noqa: ASYNC110 it may be about anything
                await asyncio.sleep(0.005)
        app.gone.set()
    assert calls == [1]


async def test_parts_are_written_at_once_until_the_client_is_slow_or_the_stream_is_over(app):
    seen = []

    async def stream(scope, receive, send):
        server = scope["extensions"][DISCONNECT]
        await app.read(receive)
        seen.append(server.can_write())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        server.write(b"second ")
        if app.asked:
            while server.can_write():
                server.write(b"word " * 2000)
            seen.append("slow")
        await send({"type": "http.response.body", "body": b"last", "more_body": False})
        seen.append(server.can_write())

    async with serving(stream, QUICK) as port, connected(port) as (reader, writer):
        writer.write(GET)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        assert answer.endswith(b"\r\n6\r\nfirst \r\n7\r\nsecond \r\n4\r\nlast\r\n0\r\n\r\n")
        app.asked = 1
        writer.write(GET)
        long_answer = b""  # more than `readuntil` takes
        while not long_answer.endswith(b"\r\n0\r\n\r\n"):
            long_answer += await reader.read(2**16)
        assert long_answer.endswith(b"word \r\n4\r\nlast\r\n0\r\n\r\n")
    assert seen == [False, False, False, "slow", False]


async def test_a_connection_that_nobody_uses_is_closed_without_a_word(app, port):
    answered = await told(port, GET)
    assert answered.count(b"HTTP/1.1 ") == 1
