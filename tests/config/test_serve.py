"""`python -m config.serve`: several workers at one port, as processes."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from stack.folders import ROOT
from stack.ports import Ports
from tests.asgi_apps import LIFESPAN
from tests.waiting import eventually

APP = """
import os

async def application(scope, receive, send):
    LIFESPAN
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
""".replace("    LIFESPAN\n", LIFESPAN)


@pytest.fixture
def port() -> Iterator[int]:
    ports = Ports()
    yield ports.take("serve")
    ports.release()


@pytest.fixture
def parent(tmp_path, port) -> Iterator[psutil.Process]:
    (tmp_path / "named.py").write_text(APP)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'platform'}"}
    command = [sys.executable, "-m", "config.serve", "named:application", f"--port={port}", "--workers=2"]
    with subprocess.Popen(command, env=env, cwd=tmp_path) as running:
        yield psutil.Process(running.pid)
        running.kill()


def answering(port: int) -> set[int]:
    """Return the processes that answer some requests."""
    found = set()
    for _ in range(20):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                found.add(int(answer.read()))
        except OSError:
            continue
    return found


def test_a_worker_that_dies_is_started_again_and_all_end_with_their_parent(parent, port):
    eventually(lambda: answering(port), within_s=60, what="nothing answers")
    first, second = parent.children()
    first.kill()
    eventually(lambda: len({*parent.children()} - {first}) == 2)
    eventually(lambda: answering(port) & {one.pid for one in parent.children()})
    assert answering(port) <= {second.pid, *(one.pid for one in parent.children())}
    workers = parent.children()
    parent.kill()
    eventually(lambda: not any(one.is_running() for one in workers))


def test_a_stop_ends_every_worker(parent, port):
    eventually(lambda: answering(port), within_s=60, what="nothing answers")
    workers = parent.children()
    parent.terminate()
    assert parent.wait(timeout=60) == 0
    assert not any(one.is_running() for one in workers)
