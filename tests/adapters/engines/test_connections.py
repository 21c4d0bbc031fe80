"""The site's own client speaks to an engine at a port, behind a prefix, or at a Unix domain socket."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from django.core.exceptions import ValidationError

from adapters.engines import client
from adapters.errors import EngineUnavailable
from adapters.models import Engine
from adapters.models.engines import validate_address


class Handler(BaseHTTPRequestHandler):
    """Tells the path that was asked for."""

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "engine.sock")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_an_engine_answers_at_a_unix_domain_socket(path):
    with serving(socketserver.ThreadingUnixStreamServer(path, Handler)):
        assert client.read_page(Engine(url=f"unix://{path}"), "/v1/models") == "/v1/models"


def test_a_prefix_stays_before_each_path():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        url = f"http://127.0.0.1:{server.server_address[1]}/proxy/"
        assert client.read_page(Engine(url=url), "/health") == "/proxy/health"


def test_a_socket_without_a_listener_is_an_engine_that_is_away(path):
    with pytest.raises(EngineUnavailable):
        client.check_health(Engine(url=f"unix://{path}"))
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(path)
    left_behind.close()
    assert not client.is_healthy(Engine(url=f"unix://{path}"))


def test_addresses_of_engines():
    for url in ("unix:///run/engine.sock", "http://10.0.0.5:8001", "https://engine.example"):
        validate_address(url)
    for url in ("unix://run/engine.sock", "unix://", "ftp://engine", "engine:8001", ""):
        with pytest.raises(ValidationError):
            validate_address(url)
