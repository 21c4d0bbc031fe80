"""A pool of connections to an engine: at a host and port, or at a Unix domain socket of this machine."""

import socket
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

UNIX = "unix"


def open_pool(url: str, *, timeout_s: float) -> HTTPConnectionPool:
    """Return a pool for `http://host:port`, `https://…` or `unix:///run/engine.sock`. It never retries."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return _SocketPool("localhost", retries=False, timeout=timeout_s, socket_path=parts.path)
    return urllib3.connection_from_url(url, retries=False, timeout=timeout_s)


class _SocketConnection(HTTPConnection):
    """A connection to a path; the host is only what the `host` header says."""

    def __init__(self, host: str, *, socket_path: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._socket_path = socket_path

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(float(self.timeout) if self.timeout else None)
            connection.connect(self._socket_path)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self._socket_path}: {error}") from error
        return connection


class _SocketPool(HTTPConnectionPool):
    ConnectionCls = _SocketConnection
