"""What a test serves on loopback, and the stack that several tests look at."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.client import BaseClient

from stack import seaweed, services
from stack.folders import Folders
from stack.services import Stack
from stack.steps import Steps


class Handler(BaseHTTPRequestHandler):
    """Answers without a word in the log."""

    def answer(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def log_message(self, *_) -> None:
        pass


@contextmanager
def serving(handler: type[Handler]) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@contextmanager
def running(folders: Folders) -> Iterator[Stack]:
    """Yield the three services once they are ready."""
    with services.opened(folders, Steps(io.StringIO())) as stack:
        stack.waiting.all(services.start(stack))
        yield stack


def storage_of(stack: Stack) -> BaseClient:
    return seaweed.client(stack.addresses.storage, stack.credentials)
