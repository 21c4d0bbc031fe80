import socket

import pytest

from stack.errors import PortTaken
from stack.ports import HIGHEST, LOWEST, Ports


@pytest.fixture
def ports(tmp_path):
    ports = Ports(tmp_path / "ports.json")
    yield ports
    ports.release()


def listener(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def test_ports_are_free_and_below_the_ephemeral_range(ports):
    taken = [ports.take(f"name{number}") for number in range(20)]

    assert len(set(taken)) == len(taken)
    assert all(LOWEST <= port <= HIGHEST for port in taken)
    for port in taken:
        listener(port).close()


def test_another_stack_never_gets_a_held_port(ports, tmp_path):
    mine = ports.take("web")
    (tmp_path / "other.json").write_text(f'{{"web": {mine}}}')
    other = Ports(tmp_path / "other.json")

    assert other.take("web") != mine
    other.release()


def test_a_second_start_gets_the_same_ports_unless_one_is_taken_meanwhile(ports, tmp_path):
    first = ports.take("web")
    ports.release()
    again = Ports(tmp_path / "ports.json")
    assert again.take("web") == first
    again.release()

    with listener(first):
        assert again.take("web") != first
    again.release()


def test_a_port_that_was_asked_for_and_is_taken_is_one_line_naming_the_variable(ports):
    with listener() as server, pytest.raises(PortTaken) as refused:
        ports.take_exactly(server.getsockname()[1], variable="PORT")

    assert "PORT=NUMBER" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_twin_port_is_held_too(ports, tmp_path):
    port = ports.take("admin", twin_offset=10_000)
    other = Ports()

    assert port + 10_000 <= HIGHEST
    with pytest.raises(PortTaken):
        other.take_exactly(port + 10_000, variable="PORT")


def test_an_unusable_port_is_passed_over(ports):
    assert ports.take("even", usable=lambda port: port % 2 == 0) % 2 == 0


def test_a_preferred_port_is_taken_where_it_is_free(ports):
    with listener() as server:
        number = server.getsockname()[1]
        assert ports.take("busy", preferred=number) != number

    assert ports.take("web", preferred=number) == number
