import asyncio
import socket
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import EngineBroke, EngineUnavailable
from inference.wire import http_client
from inference.wire.http_client import BUFFERED_MAX_BYTES, HttpClient
from tests.inference.fakes import RawServer, eventually
from tests.profiles import examples
from tests.waiting import PATIENCE_S

HEADERS = "content-type: application/json\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1\r\n \r\n5;x=y\r\nworld\r\n0\r\nx-trailer: 1\r\n\r\n"
)
ENDLESS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class RawEngine(RawServer):
    """Writes prepared bytes for each request; may close the connection afterwards, or stay silent."""

    def __init__(self) -> None:
        super().__init__()
        self.answer_parts: list[bytes] = [LENGTH]
        self.then_closes = False
        self.requests: list[bytes] = []
        self.hung_up = asyncio.Event()
        self.written = 0
        self.is_blocked = False
        self.streams = False

    @asynccontextmanager
    async def serve(self):
        async with self.listening() as port:
            yield f"http://127.0.0.1:{port}"

    async def talk(self, reader, writer):
        try:
            while await self._read_request(reader):
                for piece in self.answer_parts:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.streams:
                    await self._stream(writer)
                if self.then_closes:
                    return
            self.hung_up.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()

    async def _read_request(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.requests.append(head + await reader.readexactly(size))
        return True

    async def _stream(self, writer):
        piece = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)
        for _ in range(400):  # 25 MiB
            writer.write(piece)
            self.is_blocked = writer.transport.get_write_buffer_size() > 0
            await writer.drain()
            self.written += len(piece)
        writer.write(b"0\r\n\r\n")


@pytest.fixture
async def engine():
    engine = RawEngine()
    async with engine.serve() as url:
        engine.url = url
        yield engine


@pytest.fixture
async def upstream():
    upstream = HttpClient()
    yield upstream
    await upstream.aclose()


async def post(upstream, engine, body=b"{}"):
    return await upstream.post(engine.url, "/v1/chat/completions", HEADERS, body)


async def read(upstream, engine):
    return await (await post(upstream, engine)).read()


until = eventually


async def test_a_request_is_written_as_http(engine, upstream):
    await (await post(upstream, engine, b'{"a": "\xc3\xbc"}')).read()
    host = engine.url.removeprefix("http://").encode()
    assert engine.requests == [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: " + host + b"\r\ncontent-type: application/json\r\n"
        b'content-length: 11\r\n\r\n{"a": "\xc3\xbc"}'
    ]


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_answers_with_a_length_or_in_chunks_keep_their_connection(engine, upstream, answer):
    engine.answer_parts = [answer]
    assert [await read(upstream, engine) for _ in range(5)] == [b"hello world"] * 5
    assert engine.connections == 1


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_an_answer_may_arrive_split_at_any_byte(engine, upstream, answer):
    for at in range(1, len(answer)):
        engine.answer_parts = [answer[:at], answer[at:]]
        response = await post(upstream, engine)
        assert await response.read() == b"hello world"
    engine.answer_parts = [answer[at : at + 1] for at in range(len(answer))]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


parts = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


@given(parts, st.lists(st.integers(1, 400), max_size=8))
@settings(max_examples=examples(60))
def test_any_chunks_split_anywhere_are_the_same_body(parts, cuts):
    answer = ENDLESS + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
    edges = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]

    async def play():
        engine, upstream = RawEngine(), HttpClient()
        engine.answer_parts = [answer[a:b] for a, b in pairwise(edges)]
        async with engine.serve() as engine.url:
            response = await post(upstream, engine)
            assert await response.read() == b"".join(parts)
            assert await read(upstream, engine) == b"".join(parts)
            assert engine.connections == 1
            await upstream.aclose()

    asyncio.run(play())


async def test_concurrent_requests_have_their_own_connections_which_are_reused(engine, upstream):
    for _ in range(3):
        assert set(await asyncio.gather(*(read(upstream, engine) for _ in range(20)))) == {b"hello world"}
    assert engine.connections == 20


async def test_an_engine_that_closes_after_each_answer_leaves_no_connection(engine, upstream):
    engine.answer_parts = [LENGTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)]
    for _ in range(3):
        assert await read(upstream, engine) == b"hello world"
    await until(lambda: not engine.open)
    assert engine.connections == 3


async def test_an_idle_connection_that_the_engine_closed_is_replaced(engine, upstream):
    engine.then_closes = True
    for _ in range(3):
        assert await read(upstream, engine) == b"hello world"
        await until(lambda: not engine.open)
    await asyncio.gather(*(read(upstream, engine) for _ in range(10)))
    assert await asyncio.gather(*(read(upstream, engine) for _ in range(10))) == [b"hello world"] * 10


async def test_a_connection_that_closes_while_the_request_is_sent_is_replaced(engine, upstream):
    await read(upstream, engine)
    [writer] = engine.open
    writer.transport.abort()  # what we write next is already lost
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_an_answer_that_ends_early_raises_engine_broke(engine, upstream, answer):
    engine.then_closes = True
    end = len(answer) - 1
    for at in [*range(0, end, 3), end]:
        engine.answer_parts = [answer[:at]]
        with pytest.raises(EngineBroke):
            await read(upstream, engine)
    assert len(engine.requests) == engine.connections  # on a new connection the request is sent once


async def test_data_before_a_break_is_passed_on_first(engine, upstream):
    engine.answer_parts, engine.then_closes = [CHUNKED[:-30]], True
    response = await post(upstream, engine)
    await until(lambda: not engine.open)
    assert (await response.part()).startswith(b"hello")
    with pytest.raises(EngineBroke):
        await response.part()


async def test_closing_an_answer_breaks_the_connection(engine, upstream):
    engine.answer_parts = [ENDLESS, b"5\r\nhello\r\n"]
    response = await post(upstream, engine)
    assert await response.part() == b"hello"
    response.close()
    await asyncio.wait_for(engine.hung_up.wait(), PATIENCE_S)
    engine.answer_parts = [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 2


async def test_closing_a_complete_answer_keeps_the_connection(engine, upstream):
    response = await post(upstream, engine)
    await response.read()
    response.close()
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


@pytest.mark.parametrize("is_used", [False, True])
async def test_cancelling_before_the_answer_breaks_the_connection(engine, upstream, is_used):
    if is_used:
        await read(upstream, engine)
    engine.answer_parts = []
    request_count = len(engine.requests)
    asking = asyncio.create_task(post(upstream, engine))
    await until(lambda: len(engine.requests) > request_count)
    asking.cancel()
    await asyncio.wait_for(engine.hung_up.wait(), PATIENCE_S)
    await until(lambda: not engine.open)


async def paused(engine, response):
    """Return once nobody reads and the engine can't write any more."""
    await until(lambda: response._connection._is_paused and engine.is_blocked)
    written = engine.written
    for _ in range(100):
        await asyncio.sleep(0)
    assert engine.written == written


async def test_a_slow_reader_slows_the_engine_down(engine, upstream):
    engine.answer_parts, engine.streams = [ENDLESS], True
    response = await post(upstream, engine)
    size = len(await response.part())
    await paused(engine, response)
    assert engine.written < 12 * 1024 * 1024  # the sockets' buffers and ours, not all 25 MiB
    assert response._buffered_bytes < BUFFERED_MAX_BYTES + 1024 * 1024
    while part := await response.part():
        size += len(part)
    assert size == 400 * 65536
    engine.streams, engine.answer_parts = False, [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


async def test_a_paused_answer_can_be_closed(engine, upstream):
    engine.answer_parts, engine.streams = [ENDLESS], True
    response = await post(upstream, engine)
    await paused(engine, response)
    response.close()
    await until(lambda: not engine.open)


async def test_a_large_answer_is_read_whole(engine, upstream):
    engine.answer_parts, engine.streams = [ENDLESS], True
    assert len(await read(upstream, engine)) == 400 * 65536


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_invalid_http_raises_engine_broke(engine, upstream, nonsense):
    engine.answer_parts = [nonsense]
    with pytest.raises(EngineBroke):
        await read(upstream, engine)
    await until(lambda: not engine.open)


async def test_data_after_the_answer_costs_the_connection(engine, upstream):
    engine.answer_parts = [LENGTH + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"]
    assert await read(upstream, engine) == b"hello world"
    engine.answer_parts = [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 2


async def test_the_beginning_of_another_answer_is_not_the_next_requests(engine, upstream):
    engine.answer_parts = [LENGTH + b"HTTP/1.1 200 OK\r\ncontent-le"]
    assert await read(upstream, engine) == b"hello world"
    engine.answer_parts = [b"ngth: 4\r\n\r\nevil" + LENGTH]
    with pytest.raises(EngineBroke):  # it has a connection of its own, on which this is no answer
        await read(upstream, engine)
    engine.answer_parts = [LENGTH]
    assert await read(upstream, engine) == b"hello world"


async def test_late_data_without_a_request_costs_the_connection(engine, upstream):
    assert await read(upstream, engine) == b"hello world"
    [writer] = engine.open
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    await until(lambda: not engine.open)
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"]
)
async def test_an_interim_answer_is_not_the_answer(engine, upstream, before):
    engine.answer_parts = [before, LENGTH]
    response = await post(upstream, engine)
    assert (response.status, await response.read()) == (200, b"hello world")
    engine.answer_parts = [before + LENGTH]
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize("is_used", [False, True])
async def test_a_silent_engine_times_out_and_the_request_is_not_sent_again(
    engine, upstream, monkeypatch, is_used
):
    monkeypatch.setattr(http_client, "SILENT_FOR_S", 0.1)
    if is_used:
        await read(upstream, engine)
    engine.answer_parts = []
    with pytest.raises(EngineBroke):
        await asyncio.wait_for(read(upstream, engine), PATIENCE_S)  # 600 s without the setting
    await asyncio.wait_for(engine.hung_up.wait(), PATIENCE_S)
    assert len(engine.requests) == 1 + is_used


async def test_an_engine_that_stops_with_a_request_raises_engine_broke(upstream):
    engine = RawEngine()
    async with engine.serve() as engine.url:
        await read(upstream, engine)
        engine.answer_parts = []
        asking = asyncio.create_task(post(upstream, engine))
        await until(lambda: len(engine.requests) == 2)
    with pytest.raises(EngineBroke):  # also on a connection that was reused
        await asking


async def test_an_unreachable_engine_raises_engine_unavailable(upstream):
    async with RawEngine().serve() as url:
        pass
    with pytest.raises(EngineUnavailable) as raised:
        await upstream.post(url, "/", HEADERS, b"")
    assert not isinstance(raised.value, EngineBroke)


async def test_closing_the_client_leaves_no_connection(engine):
    upstream = HttpClient()
    await asyncio.gather(*(read(upstream, engine) for _ in range(10)))
    assert len(engine.open) == 10
    await upstream.aclose()
    await until(lambda: not engine.open)


async def test_an_engine_may_listen_at_a_path(tmp_path):
    engine = RawEngine()
    path = str(tmp_path / "engine.sock")
    client = HttpClient()
    server = await asyncio.start_unix_server(engine._accept, path)
    async with server:
        for _ in range(2):
            response = await client.post(f"unix://{path}", "/v1/completions", HEADERS, b"{}")
            assert await response.read() == b"hello world"
        await client.aclose()
    assert engine.connections == 1
    assert engine.requests[0].startswith(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n")
    with pytest.raises(EngineUnavailable):
        await client.post(f"unix://{path}.gone", "/", HEADERS, b"{}")


async def test_idle_connections_are_bounded(engine, monkeypatch):
    monkeypatch.setattr(http_client, "MAX_IDLE", 2)
    client = HttpClient()
    responses = await asyncio.gather(*(client.post(engine.url, "/", HEADERS, b"{}") for _ in range(5)))
    assert {await response.read() for response in responses} == {b"hello world"}
    await eventually(lambda: len(engine.open) == 2)
    await client.aclose()


async def read_all(response) -> bytes:
    got = []
    while part := await response.part():
        got.append(part)
    return b"".join(got)


async def test_a_receiver_gets_bytes_in_order_and_the_reader_those_that_it_refuses(delivery):
    connection, response = delivery
    taken, is_full = [], False

    def take(data: bytes) -> bool:
        if not is_full:
            taken.append(data)
        return not is_full

    connection.data_received(ENDLESS + b"1\r\na\r\n")
    await response.begun
    assert await response.part() == b"a"
    response.pass_to(take)
    connection.data_received(b"1\r\nb\r\n")  # nobody waits: it is kept
    assert taken == []
    assert await response.part() == b"b"
    reading = asyncio.create_task(response.part())
    await asyncio.sleep(0)
    connection.data_received(b"1\r\nc\r\n1\r\nd\r\n")
    assert (taken, reading.done()) == ([b"cd"], False)
    is_full = True
    connection.data_received(b"1\r\ne\r\n")
    is_full = False
    connection.data_received(b"1\r\nf\r\n")  # not before what was refused
    assert (taken, await reading) == ([b"cd"], b"ef")
    reading = asyncio.create_task(read_all(response))
    await asyncio.sleep(0)
    connection.data_received(b"1\r\ng\r\n0\r\n\r\n")
    assert (taken, await reading) == ([b"cd", b"g"], b"")


async def test_what_a_receiver_raises_the_reader_gets_and_nothing_that_came_after(delivery):
    connection, response = delivery

    def fail(data: bytes) -> bool:
        raise EngineBroke(data.decode())

    connection.data_received(ENDLESS + b"1\r\na\r\n")
    assert await response.part() == b"a"
    response.pass_to(fail)
    reading = asyncio.create_task(response.part())
    await asyncio.sleep(0)
    connection.data_received(b"1\r\nb\r\n")
    connection.data_received(b"1\r\nc\r\n0\r\n\r\n")
    with pytest.raises(EngineBroke, match="b"):
        await reading


@pytest.fixture
async def delivery():
    """A connection whose bytes the test delivers itself, and the answer that it receives."""
    ours, engines = socket.socketpair()
    with engines:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(lambda: http_client.Connection([]), sock=ours)
        yield connection, connection.send(b"")
        connection.transport.abort()
        await connection.closed.wait()
