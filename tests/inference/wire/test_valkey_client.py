import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import LimitsUnavailable
from inference.wire import valkey_client as module
from inference.wire.valkey_client import ValkeyClient, ValkeyTimeouts
from tests.inference.fakes import RawServer, eventually
from tests.profiles import examples
from tests.waiting import PATIENCE_S

ECHO = "return {KEYS[1], ARGV[1]}"


@pytest.fixture
async def real(valkey, settings):
    client = ValkeyClient(settings.VALKEY_URL)
    yield client
    await client.aclose()


class FakeValkey(RawServer):
    """Echoes the last argument of every command; can go silent, break off, or write prepared bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent = False
        self.breaks = False
        self.answer: bytes | None = None
        self.commands: list[list[str]] = []

    @asynccontextmanager
    async def serve(self, port=0):
        async with self.listening(port) as self.port:
            yield f"redis://127.0.0.1:{self.port}/0"

    async def talk(self, reader, writer):
        while arguments := await self._read_command(reader):
            self.commands.append(arguments)
            if self.breaks:
                writer.transport.abort()
                return
            if not self.is_silent:
                echo = f"${len(arguments[-1])}\r\n{arguments[-1]}\r\n".encode()
                writer.write(echo if self.answer is None else self.answer)

    @staticmethod
    async def _read_command(reader):
        head = await reader.readline()
        if not head:
            return None
        arguments = []
        for _ in range(int(head[1:])):
            size = int((await reader.readline())[1:])
            line = await reader.readexactly(size + 2)
            arguments.append(line[:-2].decode())
        return arguments


async def all_fail(*commands) -> bool:
    """Return whether all commands end with LimitsUnavailable."""
    answers = await asyncio.wait_for(asyncio.gather(*commands, return_exceptions=True), PATIENCE_S)
    return {type(answer) for answer in answers} == {LimitsUnavailable}


@pytest.fixture
async def fake():
    fake = FakeValkey()
    async with fake.serve() as url:
        fake.url = url
        yield fake


@pytest.fixture
async def client(fake):
    client = ValkeyClient(fake.url)
    yield client
    await client.aclose()


async def test_a_thousand_concurrent_commands_get_their_own_answers_over_one_connection(real, valkey):
    before = len(valkey.client_list())
    echo = real.script(ECHO)

    async def one(number):
        await asyncio.sleep(random.random() / 50)
        if number % 3:
            return await real.execute("ECHO", f"{number}")
        return (await echo((f"k{number}",), (number,)))[1]

    answers = await asyncio.gather(*(one(number) for number in range(1000)))
    assert answers == [str(number) for number in range(1000)]
    assert len(valkey.client_list()) == before + 1


async def test_a_cancelled_command_takes_no_other_commands_answer(real):
    async def one(number):
        return await real.execute("ECHO", f"{number}")

    await real.execute("PING")
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
    assert await real.execute("ECHO", "last") == "last"


async def test_answers_are_text_numbers_lists_and_none(real, valkey):
    assert await real.execute("SET", "a", "ü") == "OK"
    assert await real.execute("GET", b"a") == "ü"
    assert await real.execute("GET", "none") is None
    assert await real.execute("HSET", "h", "x", 1, "y", 2.5) == 2
    assert await real.execute("HGETALL", "h") == ["x", "1", "y", "2.5"]
    assert await real.execute("ECHO", "x" * 3_000_000) == "x" * 3_000_000


async def test_an_error_goes_only_to_its_own_command(real):
    wrong, right = await asyncio.gather(
        real.execute("HGET", "one word"), real.execute("ECHO", "x"), return_exceptions=True
    )
    assert isinstance(wrong, LimitsUnavailable)
    assert right == "x"


async def test_a_script_that_valkey_forgot_is_sent_again(real, valkey):
    echo = real.script(ECHO)
    for _ in range(2):
        valkey.script_flush()
        answers = await asyncio.gather(*(echo((f"{n}",), (n,)) for n in range(50)))
        assert answers == [[str(n), str(n)] for n in range(50)]


async def test_a_killed_connection_fails_waiting_commands_and_is_replaced(real, valkey):
    await real.execute("PING")
    waiting = [asyncio.create_task(real.execute("BLPOP", f"nothing{n}", 0)) for n in range(5)]
    await eventually(lambda: valkey.info("clients")["blocked_clients"])
    valkey.client_kill_filter(_type="normal", skipme=True)
    assert await all_fail(*waiting)
    assert await real.execute("ECHO", "again") == "again"


async def test_a_wrong_password_is_an_error_each_time(valkey, settings):
    wrong = ValkeyClient(settings.VALKEY_URL.replace("://:", "://:not", 1))
    for _ in range(2):
        assert await all_fail(*(wrong.execute("PING") for _ in range(3)))
    await wrong.aclose()


async def test_many_first_calls_open_one_connection(fake, client):
    answers = await asyncio.gather(*(client.execute("ECHO", f"{n}") for n in range(100)))
    assert answers == [str(n) for n in range(100)]
    assert fake.connections == 1


async def test_a_cancelled_first_command_leaves_the_opening_connection_to_the_others(fake, client):
    first, *others = [asyncio.create_task(client.execute("ECHO", f"{n}")) for n in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == ["1", "2", "3", "4"]
    assert fake.connections == 1


async def test_an_unreachable_valkey_fails_at_once_and_is_reconnected_later(fake):
    async with FakeValkey().serve() as url:
        pass
    client = ValkeyClient(url)
    for _ in range(2):
        assert await all_fail(*(client.execute("PING") for _ in range(3)))
    async with FakeValkey().serve(int(url.split(":")[2].split("/")[0])):
        assert await client.execute("ECHO", "x") == "x"
        await client.aclose()


async def test_a_failed_connection_attempt_is_not_reported_to_later_commands(fake):
    async with FakeValkey().serve() as url:
        pass
    port = int(url.split(":")[2].split("/")[0])
    client = ValkeyClient(url)
    cancelled = asyncio.create_task(client.execute("PING"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await eventually(lambda: client._opening is None)  # the attempt to connect has failed
    async with FakeValkey().serve(port):
        assert await client.execute("ECHO", "x") == "x"
        await client.aclose()


async def test_a_connection_that_broke_after_its_command_was_cancelled_is_not_reused(fake, client):
    cancelled = asyncio.create_task(client.execute("PING"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await eventually(lambda: client._connection and fake.open)
    for writer in list(fake.open):
        writer.transport.abort()
    await eventually(lambda: client._connection.is_broken)
    assert await client.execute("ECHO", "x") == "x"


async def test_a_broken_connection_fails_all_waiting_commands(fake, client):
    await client.execute("PING")
    fake.is_silent = True
    waiting = [asyncio.create_task(client.execute("ECHO", "x")) for _ in range(20)]
    await eventually(lambda: len(fake.commands) == 21)
    for writer in list(fake.open):
        writer.transport.abort()
    assert await all_fail(*waiting)
    fake.is_silent = False
    assert await client.execute("ECHO", "x") == "x"
    assert fake.connections == 2


async def test_a_hanging_valkey_times_out_and_may_come_back(fake):
    client = ValkeyClient(fake.url)
    client._timeouts = ValkeyTimeouts(answer_s=0.1, check_silence_every_s=0.05)  # of its first connection
    fake.is_silent = True
    assert await all_fail(*(client.execute("ECHO", "x") for _ in range(3)))
    client._timeouts = ValkeyTimeouts()
    fake.is_silent = False
    assert await client.execute("ECHO", "x") == "x"
    await client.aclose()


async def test_an_idle_connection_is_kept(fake, client):
    await client.execute("PING")
    connection = client._connection
    connection._last_data_s -= 3600
    connection._silence_timer.cancel()
    connection._check_silence()
    assert await client.execute("ECHO", "x") == "x"
    assert fake.connections == 1


async def test_a_valkey_that_hangs_during_authentication_times_out(fake):
    fake.is_silent = True
    url = fake.url.replace("redis://", "redis://:secret@")
    client = ValkeyClient(url, ValkeyTimeouts(connect_s=0.1))
    with pytest.raises(LimitsUnavailable):
        await client.execute("PING")
    await eventually(lambda: not fake.open)
    client._timeouts = ValkeyTimeouts()
    fake.is_silent = False
    assert await client.execute("ECHO", "x") == "x"
    await client.aclose()


@pytest.mark.parametrize("said", [b"garbage\r\n", b"+one\r\n+one too many\r\n"])
async def test_invalid_data_costs_only_the_connection(fake, client, said):
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    fake.answer = said
    answers = await asyncio.gather(*(client.execute("PING") for _ in range(2)), return_exceptions=True)
    assert all(isinstance(answer, LimitsUnavailable | str) for answer in answers)
    fake.answer = None
    await eventually(lambda: client._connection.is_broken)
    assert await client.execute("ECHO", "x") == "x"


async def test_closing_fails_waiting_commands_and_leaves_no_connection(fake, client):
    await client.execute("PING")
    fake.is_silent = True
    waiting = asyncio.create_task(client.execute("ECHO", "x"))
    await eventually(lambda: len(fake.commands) == 2)
    await client.aclose()
    with pytest.raises(LimitsUnavailable):
        await waiting
    await eventually(lambda: not fake.open)


@given(st.lists(st.one_of(st.text(), st.integers(), st.binary(max_size=20)), min_size=1, max_size=6))
@settings(max_examples=examples(50))
def test_arguments_arrive_as_they_were_sent(arguments):
    packed = module._pack("ECHO", *arguments)
    reader = module.hiredis.Reader()
    reader.feed(packed)
    expected = [value if isinstance(value, bytes) else str(value).encode() for value in arguments]
    assert reader.gets() == [b"ECHO", *expected]


async def test_commands_of_one_turn_are_one_write(fake, client):
    await client.execute("PING", "first")
    transport = client._connection._transport
    writes = []

    class Counting:
        def write(self, data):
            writes.append(data)
            transport.write(data)

    client._connection._transport = Counting()
    try:
        answers = await asyncio.gather(*(client.execute("ECHO", str(n)) for n in range(20)))
    finally:
        client._connection._transport = transport
    assert answers == [str(n) for n in range(20)]
    assert len(writes) == 1


async def test_valkey_is_reached_over_a_socket_of_this_machine(tmp_path):
    fake = FakeValkey()
    path = str(tmp_path / "valkey.sock")
    server = await asyncio.start_unix_server(fake._accept, path)
    client = ValkeyClient(f"unix://:secret@{path}?db=3")
    async with server:
        assert await client.execute("ECHO", "hello") == "hello"
        await client.aclose()
    assert fake.commands == [["AUTH", "default", "secret"], ["SELECT", "3"], ["ECHO", "hello"]]
