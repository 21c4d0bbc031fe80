from pathlib import Path

from redis.connection import parse_url

from stack import valkey
from stack.folders import Folders


def test_the_site_reaches_valkey_over_its_socket():
    folders = Folders(Path("/srv/poly scribe"))
    address = parse_url(valkey.url(folders, 6379, "secret"))
    assert (address["path"], address["password"], address["db"]) == (
        "/srv/poly scribe/valkey/valkey.sock",
        "secret",
        0,
    )


def test_a_path_that_is_too_long_for_a_socket_leaves_the_port(tmp_path):
    folders = Folders(tmp_path / ("a" * 120))
    assert valkey.url(folders, 6379, "secret") == "redis://:secret@127.0.0.1:6379/0"
    folders.make()
    program = valkey.program(folders, 6379, "secret")
    assert "unixsocket" not in Path(program.argv[1]).read_text()
