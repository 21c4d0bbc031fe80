"""Where the engines of a stack listen, and how the stack asks them."""

import json
import os
import re
import socketserver
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack import engine, environment
from stack.environment import Addresses, engine_address, engine_sockets
from stack.errors import ServiceFailed, StackError
from stack.folders import Credentials, Folders
from tests.stack.servers import Handler

KEY = "engine-key"
FOLDERS = Folders(Path("/srv/polyscribe"))


@pytest.fixture(autouse=True)
def _own_choices(monkeypatch):
    for name in ("ENGINE_SOCKET", "ENGINE_URL", "ENGINE_KIND", "VLLM_RPC_BASE_PATH"):
        monkeypatch.delenv(name, raising=False)


def addresses(sockets: tuple[Path, ...]) -> Addresses:
    ports = {"postgres": 1, "valkey": 2, "s3": 3, "web": 4, "engine_port": 5}
    return Addresses(**ports, engine_url="", further_engine_ports=(6,), engine_sockets=sockets)


def test_engines_listen_at_sockets_of_their_own():
    paths = engine_sockets(FOLDERS, 2)
    assert [str(path) for path in paths] == [
        "/srv/polyscribe/engine/engine.sock",
        "/srv/polyscribe/engine/engine-2.sock",
    ]
    first = engine_address(addresses(paths), 5)
    assert (first["ENGINE_URL"], first["ENGINE_SOCKET"]) == (f"unix://{paths[0]}", str(paths[0]))
    variables = {"ENGINE_NAME": "local", "ENGINE_ADAPTERS_DIR": "/srv/adapters", **first}
    (second,) = environment.further_engines(variables, addresses(paths))
    assert (second["ENGINE_URL"], second["ENGINE_SOCKET"]) == (f"unix://{paths[1]}", str(paths[1]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ENGINE_SOCKET", ""), ("ENGINE_URL", "http://10.0.0.5:8001"), ("ENGINE_KIND", "ray")],
)
def test_engines_listen_at_ports_where_that_is_asked_for(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert engine_sockets(FOLDERS, 1) == ()
    address = engine_address(addresses(()), 5)
    assert (address["ENGINE_URL"], address["ENGINE_SOCKET"]) == ("http://127.0.0.1:5", "")


@pytest.mark.parametrize(("folder", "is_there"), [("/tmp/stack-1", True), ("/tmp/" + 100 * "a", False)])
def test_sockets_of_vllms_processes_go_with_a_temporary_stack(tmp_path, folder, is_there):
    folders = Folders(Path(folder), temporary=True)
    variables = environment.engine_variables(folders, addresses(()), Credentials.of(tmp_path))
    assert engine.for_engine(variables).get("VLLM_RPC_BASE_PATH") == (folder if is_there else None)


@pytest.mark.parametrize("folder", ["/srv/" + 100 * "a", "/srv/with a space", "/srv/what?"])
def test_a_folder_whose_path_is_too_long_or_odd_leaves_the_ports(folder):
    assert engine_sockets(Folders(Path(folder)), 1) == ()


def test_a_path_of_ones_own_is_used_or_refused(monkeypatch):
    monkeypatch.setenv("ENGINE_SOCKET", "/run/engine/own.sock")
    assert engine_sockets(FOLDERS, 1) == (Path("/run/engine/own.sock"),)
    monkeypatch.setenv("ENGINE_SOCKET", "/run/" + 100 * "a")
    with pytest.raises(StackError, match="ENGINE_SOCKET"):
        engine_sockets(FOLDERS, 1)


class Engine(Handler):
    """vLLM as far as the stack asks it."""

    def do_GET(self) -> None:
        models = [{"id": "base"}, {"id": "v_1", "parent": "base"}]
        is_known = self.headers["Authorization"] == f"Bearer {KEY}"
        status = 200 if is_known or self.path == "/health" else 401
        self.answer(status, json.dumps({"data": models} if is_known else {}).encode())


@contextmanager
def listening(path: Path):
    with socketserver.ThreadingUnixStreamServer(str(path), Engine) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


def test_the_stack_asks_an_engine_over_its_socket(tmp_path):
    path = tmp_path / "engine.sock"
    url = f"unix://{path}"
    assert not engine.ready(url, KEY)
    with listening(path):
        assert engine.ready(url, KEY)
        assert engine.adapters(url, KEY) == {"v_1"}
        with pytest.raises(ServiceFailed, match="rejected the key"):
            engine.ready(url, "another")
    assert path.is_socket()
    assert not engine.ready(url, KEY)  # nobody listens at what was left behind
    assert engine.adapters(url, KEY) == set()


def test_an_engine_that_keeps_dying_stops_nothing_else(tmp_path, monkeypatch):
    """What the supervisor does with an optional program is in test_processes.py."""
    assert engine.program({}, number=2).is_optional
    for folder in ("bin", "lib/python3/site-packages/ray"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(engine, "PYTHON", tmp_path / "bin" / "python")
    assert engine.ray_program({}, Folders(tmp_path)).is_optional


def test_an_engine_gets_no_secret_but_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live")
    folders = Folders(tmp_path)
    ours = environment.site_variables(folders, addresses(()), Credentials.of(tmp_path))
    given = engine.program({**os.environ, **ours}).env
    secret = re.compile(r"SECRET|KEY|PEPPER|PASSWORD|SALT|DATABASE|VALKEY|BROKER|EMAIL|S3_|AWS_")
    own = {"ENGINE_API_KEY", "WATERMARK_KEYS"}
    assert {name for name in given if secret.search(name)} == own
    assert given.keys() >= {"PATH", "BASE_MODEL_DIR", "ENGINE_MAX_LORAS", "ENGINE_SOCKET", "ENGINE_DTYPE"}
