import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import GateUnavailable
from inference.wire import valkey_client as module
from inference.wire.valkey_client import ValkeyClient
from tests.inference.fakes import RawServer

ECHO = "return {KEYS[1], ARGV[1]}"


@pytest.fixture
async def real(valkey, settings):
    multiplexer = ValkeyClient(settings.VALKEY_URL)
    yield multiplexer
    await multiplexer.aclose()


class FakeValkey(RawServer):
    """Answers every command with its last word; can go silent, break off, or say what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent = False
        self.breaks = False
        self.says: bytes | None = None
        self.parsed: list[list[str]] = []

    @asynccontextmanager
    async def serve(self, port=0):
        async with self.listening(port) as self.port:
            yield f"redis://127.0.0.1:{self.port}/0"

    async def talk(self, reader, writer):
        while words := await self._command(reader):
            self.parsed.append(words)
            if self.breaks:
                writer.transport.abort()
                return
            if not self.is_silent:
                said = f"${len(words[-1])}\r\n{words[-1]}\r\n".encode()
                writer.write(said if self.says is None else self.says)

    @staticmethod
    async def _command(reader):
        if not (head := await reader.readline()):
            return None
        words = []
        for _ in range(int(head[1:])):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2].decode())
        return words


@pytest.fixture
async def fake():
    fake = FakeValkey()
    async with fake.serve() as url:
        fake.url = url
        yield fake


@pytest.fixture
async def multiplexer(fake):
    multiplexer = ValkeyClient(fake.url)
    yield multiplexer
    await multiplexer.aclose()


async def test_a_thousand_at_once_get_their_own_answers_over_one_connection(real, valkey):
    before = len(valkey.client_list())
    echo = real.script(ECHO)

    async def one(number):
        await asyncio.sleep(random.random() / 50)
        if number % 3:
            return await real.ask("ECHO", f"{number}")
        return (await echo((f"k{number}",), (number,)))[1]

    answers = await asyncio.gather(*(one(number) for number in range(1000)))
    assert answers == [str(number) for number in range(1000)]
    assert len(valkey.client_list()) == before + 1


async def test_who_is_cancelled_takes_nobodys_answer(real):
    async def one(number):
        return await real.ask("ECHO", f"{number}")

    await real.ask("PING")
    tasks = [asyncio.create_task(one(number)) for number in range(600)]
    await asyncio.sleep(0)
    for task in random.sample(tasks, 300):
        if random.random() < 0.5:
            await asyncio.sleep(0)
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(answer, asyncio.CancelledError) for answer in answers)
    assert all(
        answer == str(number) or isinstance(answer, asyncio.CancelledError)
        for number, answer in enumerate(answers)
    )
    assert await real.ask("ECHO", "last") == "last"


async def test_answers_are_text_numbers_lists_and_nothing(real, valkey):
    assert await real.ask("SET", "a", "ü") == "OK"
    assert await real.ask("GET", b"a") == "ü"
    assert await real.ask("GET", "none") is None
    assert await real.ask("HSET", "h", "x", 1, "y", 2.5) == 2
    assert await real.ask("HGETALL", "h") == ["x", "1", "y", "2.5"]
    assert await real.ask("ECHO", "x" * 3_000_000) == "x" * 3_000_000


async def test_a_refusal_is_for_its_asker_alone(real):
    wrong, right = await asyncio.gather(
        real.ask("HGET", "one word"), real.ask("ECHO", "x"), return_exceptions=True
    )
    assert isinstance(wrong, GateUnavailable)
    assert right == "x"


async def test_a_script_that_valkey_forgot_is_sent_again(real, valkey):
    echo = real.script(ECHO)
    for _ in range(2):
        valkey.script_flush()
        answers = await asyncio.gather(*(echo((f"{n}",), (n,)) for n in range(50)))
        assert answers == [[str(n), str(n)] for n in range(50)]


async def test_a_killed_connection_fails_who_waits_and_is_replaced(real, valkey):
    await real.ask("PING")
    waiting = [asyncio.create_task(real.ask("BLPOP", f"nothing{n}", 0)) for n in range(5)]
    await asyncio.sleep(0.05)
    valkey.client_kill_filter(_type="normal", skipme=True)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {GateUnavailable}
    assert await real.ask("ECHO", "again") == "again"


async def test_a_wrong_password_is_an_error_each_time(valkey, settings):
    wrong = ValkeyClient(settings.VALKEY_URL.replace("redis://:", "redis://:not"))
    for _ in range(2):
        answers = await asyncio.gather(*(wrong.ask("PING") for _ in range(3)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {GateUnavailable}
    await wrong.aclose()


async def test_many_first_calls_open_one_connection(fake, multiplexer):
    answers = await asyncio.gather(*(multiplexer.ask("ECHO", f"{n}") for n in range(100)))
    assert answers == [str(n) for n in range(100)]
    assert fake.connections == 1


async def test_who_is_cancelled_while_it_opens_takes_the_connection_from_nobody(fake, multiplexer):
    first, *others = [asyncio.create_task(multiplexer.ask("ECHO", f"{n}")) for n in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == ["1", "2", "3", "4"]
    assert fake.connections == 1


async def test_a_valkey_that_is_down_is_told_at_once_and_found_again(fake):
    async with FakeValkey().serve() as url:
        pass
    multiplexer = ValkeyClient(url)
    for _ in range(2):
        answers = await asyncio.gather(*(multiplexer.ask("PING") for _ in range(3)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {GateUnavailable}
    async with FakeValkey().serve(int(url.split(":")[2].split("/")[0])):
        assert await multiplexer.ask("ECHO", "x") == "x"
        await multiplexer.aclose()


async def test_nobody_is_told_an_old_failure(fake):
    async with FakeValkey().serve() as url:
        pass
    port = int(url.split(":")[2].split("/")[0])
    multiplexer = ValkeyClient(url)
    gone = asyncio.create_task(multiplexer.ask("PING"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0.05)  # the opening that nobody waits for has failed
    async with FakeValkey().serve(port):
        assert await multiplexer.ask("ECHO", "x") == "x"
        await multiplexer.aclose()


async def test_nobody_is_given_an_old_connection(fake, multiplexer):
    gone = asyncio.create_task(multiplexer.ask("PING"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0.05)  # the opening that nobody waits for has come about
    for writer in list(fake.open):
        writer.transport.abort()
    await asyncio.sleep(0.05)
    assert await multiplexer.ask("ECHO", "x") == "x"


async def test_one_that_breaks_off_fails_all_who_wait(fake, multiplexer):
    await multiplexer.ask("PING")
    fake.is_silent = True
    waiting = [asyncio.create_task(multiplexer.ask("ECHO", "x")) for _ in range(20)]
    await asyncio.sleep(0.05)
    for writer in list(fake.open):
        writer.transport.abort()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {GateUnavailable}
    fake.is_silent = False
    assert await multiplexer.ask("ECHO", "x") == "x"
    assert fake.connections == 2


async def test_one_that_hangs_is_given_up_and_may_come_back(fake, multiplexer, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.1)
    await multiplexer.ask("PING")
    fake.is_silent = True
    waiting = [asyncio.create_task(multiplexer.ask("ECHO", "x")) for _ in range(3)]
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 3)
    assert {type(answer) for answer in answers} == {GateUnavailable}
    fake.is_silent = False
    assert await multiplexer.ask("ECHO", "x") == "x"


async def test_a_quiet_hour_breaks_nothing(fake, multiplexer, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.1)
    await multiplexer.ask("PING")
    await asyncio.sleep(1.3)
    assert await multiplexer.ask("ECHO", "x") == "x"
    assert fake.connections == 1


async def test_one_that_hangs_while_it_opens_is_given_up(fake, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_WITHIN_S", 0.1)
    fake.is_silent = True
    multiplexer = ValkeyClient(fake.url.replace("redis://", "redis://:secret@"))
    with pytest.raises(GateUnavailable):
        await multiplexer.ask("PING")
    await asyncio.sleep(0.05)
    assert not fake.open
    fake.is_silent = False
    assert await multiplexer.ask("ECHO", "x") == "x"
    await multiplexer.aclose()


@pytest.mark.parametrize("said", [b"garbage\r\n", b"+one\r\n+one too many\r\n"])
async def test_nonsense_costs_the_connection_and_no_more(fake, multiplexer, said):
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    fake.says = said
    answers = await asyncio.gather(*(multiplexer.ask("PING") for _ in range(2)), return_exceptions=True)
    assert all(isinstance(answer, GateUnavailable | str) for answer in answers)
    fake.says = None
    await asyncio.sleep(0.05)
    assert await multiplexer.ask("ECHO", "x") == "x"


async def test_closing_fails_who_waits_and_leaves_no_connection(fake, multiplexer):
    await multiplexer.ask("PING")
    fake.is_silent = True
    waiting = asyncio.create_task(multiplexer.ask("ECHO", "x"))
    await asyncio.sleep(0.01)
    await multiplexer.aclose()
    with pytest.raises(GateUnavailable):
        await waiting
    await asyncio.sleep(0.01)
    assert not fake.open


@given(st.lists(st.one_of(st.text(), st.integers(), st.binary(max_size=20)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_words_arrive_as_they_were_sent(words):
    packed = module._packed("ECHO", *words)
    reader = module.hiredis.Reader()
    reader.feed(packed)
    expected = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    assert reader.gets() == [b"ECHO", *expected]
