"""A fake service, a config folder of the test's own, and a command line that reaches both."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from labs.broken_adapters import tiny_base, valid_adapter
from polyscribe import Client, RetryPolicy
from polyscribe.commands.main import run
from polyscribe.commands.session import Session
from tests.cli.fake_service import API_KEY, BASE_URL, FakeService


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Terminal(io.StringIO):
    """What is typed or piped into a command; a test may say that it is typed."""

    def isatty(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def config_folder(monkeypatch, tmp_path) -> Path:
    """A config folder, and an environment without a key."""
    folder = tmp_path / "config"
    monkeypatch.setenv("POLYSCRIBE_CONFIG_DIR", str(folder))
    monkeypatch.delenv("POLYSCRIBE_API_KEY", raising=False)
    monkeypatch.delenv("POLYSCRIBE_BASE_URL", raising=False)
    return folder


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def waits() -> list[float]:
    """The seconds that the client waited."""
    return []


@pytest.fixture
def client(service, waits) -> Client:
    return Client(
        API_KEY,
        BASE_URL,
        retries=RetryPolicy(sleep=waits.append),
        http_transport=service.transport,
        storage_transport=service.storage_transport,
    )


@pytest.fixture
def command(service, capsys, monkeypatch) -> Callable[..., Done]:
    """Run a command as it is typed; `stdin` is what is piped into it."""

    def run_command(*arguments: object, stdin: str = "") -> Done:
        session = Session(
            retries=RetryPolicy(sleep=service.sleep),
            http_transport=service.transport,
            storage_transport=service.storage_transport,
            receiver_transport=httpx.MockTransport(service.receive),
        )
        monkeypatch.setattr("sys.stdin", Terminal(stdin))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments], session)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def logged_in(command) -> Callable[..., Done]:
    """The command line after a login."""
    done = command("login", "--base-url", BASE_URL, stdin=f"{API_KEY}\n")
    assert done.code == 0, done.err
    return command


@pytest.fixture
def adapter(tmp_path) -> Path:
    """A folder as PEFT writes it; its weights take several of the fake's parts."""
    folder = tmp_path / "adapter"
    valid_adapter(tiny_base()).write(folder)
    return folder


@pytest.fixture
def broken_line() -> httpx.ConnectError:
    return httpx.ConnectError("Connection refused")
