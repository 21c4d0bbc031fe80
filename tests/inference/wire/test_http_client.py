import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import EngineBroke, EngineUnavailable
from inference.wire import http_client as module
from inference.wire.http_client import BUFFERED_MAX_BYTES, HttpClient
from tests.inference.fakes import RawServer

HEADERS = "content-type: application/json\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1\r\n \r\n5;x=y\r\nworld\r\n0\r\nx-trailer: 1\r\n\r\n"
)
ENDLESS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class RawEngine(RawServer):
    """Writes prepared bytes for each request; may close afterwards, or be silent."""

    def __init__(self) -> None:
        super().__init__()
        self.says: list[bytes] = [LENGTH]
        self.then_closes = False
        self.parsed: list[bytes] = []
        self.hung_up = asyncio.Event()
        self.written = 0
        self.streams = False

    @asynccontextmanager
    async def serve(self):
        async with self.listening() as port:
            yield f"http://127.0.0.1:{port}"

    async def talk(self, reader, writer):
        try:
            while await self._request(reader):
                for piece in self.says:
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

    async def _request(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.parsed.append(head + await reader.readexactly(size))
        return True

    async def _stream(self, writer):
        piece = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)
        for _ in range(400):  # 25 MiB
            writer.write(piece)
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


async def until(condition, within_s=3):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 it may be about anything
            await asyncio.sleep(0.005)


async def test_a_request_is_written_as_http(engine, upstream):
    await (await post(upstream, engine, b'{"a": "\xc3\xbc"}')).read()
    host = engine.url.removeprefix("http://").encode()
    assert engine.parsed == [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: " + host + b"\r\ncontent-type: application/json\r\n"
        b'content-length: 11\r\n\r\n{"a": "\xc3\xbc"}'
    ]


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_answers_of_both_lengths_keep_their_connection(engine, upstream, answer):
    engine.says = [answer]
    assert [await read(upstream, engine) for _ in range(5)] == [b"hello world"] * 5
    assert engine.connections == 1


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_an_answer_may_arrive_cut_at_any_byte(engine, upstream, answer):
    for at in range(1, len(answer)):
        engine.says = [answer[:at], answer[at:]]
        response = await post(upstream, engine)
        assert await response.read() == b"hello world"
    engine.says = [answer[at : at + 1] for at in range(len(answer))]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


parts = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


@given(parts, st.lists(st.integers(1, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_chunks_cut_anywhere_are_the_same_body(parts, cuts):
    answer = ENDLESS + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
    edges = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]

    async def play():
        engine, upstream = RawEngine(), HttpClient()
        engine.says = [answer[a:b] for a, b in pairwise(edges)]
        async with engine.serve() as engine.url:
            response = await post(upstream, engine)
            assert await response.read() == b"".join(parts)
            assert await read(upstream, engine) == b"".join(parts)
            assert engine.connections == 1
            await upstream.aclose()

    asyncio.run(play())


async def test_requests_at_once_have_connections_of_their_own_and_leave_them_to_the_next(engine, upstream):
    for _ in range(3):
        assert set(await asyncio.gather(*(read(upstream, engine) for _ in range(20)))) == {b"hello world"}
    assert engine.connections == 20


async def test_an_engine_that_closes_after_each_answer_leaves_no_connection(engine, upstream):
    engine.says = [LENGTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)]
    for _ in range(3):
        assert await read(upstream, engine) == b"hello world"
    await until(lambda: not engine.open)
    assert engine.connections == 3


async def test_an_idle_connection_that_the_engine_closed_is_replaced_unseen(engine, upstream):
    engine.then_closes = True
    for _ in range(3):
        assert await read(upstream, engine) == b"hello world"
        await asyncio.sleep(0.01)
    await asyncio.gather(*(read(upstream, engine) for _ in range(10)))
    assert await asyncio.gather(*(read(upstream, engine) for _ in range(10))) == [b"hello world"] * 10


async def test_one_that_closes_in_the_moment_of_asking_is_replaced_unseen(engine, upstream):
    await read(upstream, engine)
    [writer] = engine.open
    writer.transport.abort()  # what we write next is already lost
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
async def test_an_answer_that_breaks_off_anywhere_is_broken(engine, upstream, answer):
    engine.then_closes = True
    end = len(answer) - 1
    for at in [*range(0, end, 3), end]:
        engine.says = [answer[:at]]
        with pytest.raises(EngineBroke):
            await read(upstream, engine)
    assert len(engine.parsed) == engine.connections  # a new connection is asked once


async def test_what_came_before_a_break_is_passed_on_first(engine, upstream):
    engine.says, engine.then_closes = [CHUNKED[:-30]], True
    response = await post(upstream, engine)
    await asyncio.sleep(0.05)
    assert (await response.part()).startswith(b"hello")
    with pytest.raises(EngineBroke):
        await response.part()


async def test_closing_an_answer_hangs_up(engine, upstream):
    engine.says = [ENDLESS, b"5\r\nhello\r\n"]
    response = await post(upstream, engine)
    assert await response.part() == b"hello"
    response.close()
    await asyncio.wait_for(engine.hung_up.wait(), 3)
    engine.says = [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 2


async def test_closing_a_whole_answer_keeps_the_connection(engine, upstream):
    response = await post(upstream, engine)
    await response.read()
    response.close()
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


@pytest.mark.parametrize("is_used", [False, True])
async def test_being_cancelled_before_the_answer_hangs_up(engine, upstream, is_used):
    if is_used:
        await read(upstream, engine)
    engine.says = []
    parsed = len(engine.parsed)
    asking = asyncio.create_task(post(upstream, engine))
    await until(lambda: len(engine.parsed) > parsed)
    asking.cancel()
    await asyncio.wait_for(engine.hung_up.wait(), 3)
    await until(lambda: not engine.open)


async def test_a_slow_reader_slows_the_engine_down(engine, upstream):
    engine.says, engine.streams = [ENDLESS], True
    response = await post(upstream, engine)
    size = len(await response.part())
    await asyncio.sleep(0.3)
    assert engine.written < 12 * 1024 * 1024  # the sockets' buffers and ours, not all 25 MiB
    assert response._size < BUFFERED_MAX_BYTES + 1024 * 1024
    while part := await response.part():
        size += len(part)
    assert size == 400 * 65536
    engine.streams, engine.says = False, [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 1


async def test_a_paused_answer_can_be_closed(engine, upstream):
    engine.says, engine.streams = [ENDLESS], True
    response = await post(upstream, engine)
    await asyncio.sleep(0.1)
    response.close()
    await until(lambda: not engine.open)


async def test_a_large_answer_is_read_whole(engine, upstream):
    engine.says, engine.streams = [ENDLESS], True
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
async def test_nonsense_is_broken(engine, upstream, nonsense):
    engine.says = [nonsense]
    with pytest.raises(EngineBroke):
        await read(upstream, engine)
    await until(lambda: not engine.open)


async def test_words_that_nobody_asked_for_cost_the_connection(engine, upstream):
    engine.says = [LENGTH + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"]
    assert await read(upstream, engine) == b"hello world"
    engine.says = [LENGTH]
    assert await read(upstream, engine) == b"hello world"
    assert engine.connections == 2


async def test_late_words_that_nobody_asked_for_cost_the_connection(engine, upstream):
    assert await read(upstream, engine) == b"hello world"
    [writer] = engine.open
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    await until(lambda: not engine.open)
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"]
)
async def test_an_interim_answer_is_not_the_answer(engine, upstream, before):
    engine.says = [before, LENGTH]
    response = await post(upstream, engine)
    assert (response.status, await response.read()) == (200, b"hello world")
    engine.says = [before + LENGTH]
    assert await read(upstream, engine) == b"hello world"


@pytest.mark.parametrize("is_used", [False, True])
async def test_a_silent_engine_is_given_up_and_not_asked_again(engine, upstream, monkeypatch, is_used):
    monkeypatch.setattr(module, "SILENT_FOR_S", 0.1)
    if is_used:
        await read(upstream, engine)
    engine.says = []
    with pytest.raises(EngineBroke):
        await asyncio.wait_for(read(upstream, engine), 2)
    await asyncio.wait_for(engine.hung_up.wait(), 3)
    assert len(engine.parsed) == 1 + is_used


async def test_an_engine_that_dies_with_a_request_in_its_hands_broke(upstream):
    engine = RawEngine()
    async with engine.serve() as engine.url:
        await read(upstream, engine)
        engine.says = []
        asking = asyncio.create_task(post(upstream, engine))
        await until(lambda: len(engine.parsed) == 2)
    with pytest.raises(EngineBroke):  # also on a connection that had been idle
        await asking


async def test_an_engine_that_is_down_is_broken(upstream):
    async with RawEngine().serve() as url:
        pass
    with pytest.raises(EngineUnavailable) as told:
        await upstream.post(url, "/", HEADERS, b"")
    assert not isinstance(told.value, EngineBroke)


async def test_closing_all_leaves_no_connection(engine):
    upstream = HttpClient()
    await asyncio.gather(*(read(upstream, engine) for _ in range(10)))
    assert len(engine.open) == 10
    await upstream.aclose()
    await until(lambda: not engine.open)
