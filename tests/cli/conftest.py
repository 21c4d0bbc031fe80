"""A service, a config folder of the test's own, and a command line that reaches both."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import httpx
import pytest

from adapters.api.uploads import StreamLimits, UploadViewSet
from adapters.models import BaseModel
from adapters.routing import publisher
from adapters.validation import BaseShape, Linear
from config.celery import app
from core import valkey as valkey_names
from core.money import NANO
from labs.broken_adapters.parts import Adapter
from metering.credits import grant_credit
from polyscribe import Client, RetryPolicy
from polyscribe.commands.main import run
from polyscribe.commands.session import Session
from polyscribe.settings import Settings, save_settings
from tests.adapters.builders import eager_tasks, known
from tests.cli.service import BASE_URL, MOST_WAITS, GatewayThread, Service
from tests.fakes import vllm_data
from tests.fakes.broken_adapters import tiny_base, valid_adapter
from tests.fakes.vllm_control import BASE
from tests.tenants.builders import issue_key
from tests.training.builders import answer_for_the_base, make_text
from training.tasks import advance_all

# So wide that the weights of rank 16 are three parts of S3's smallest size, 5 MiB; those of rank 1 are one.
WIDTH = 40_960
MODULES = [f"model.layers.{layer}.self_attn.{kind}" for layer in (0, 1) for kind in ("q_proj", "v_proj")]
WIDE_BASE = BaseShape(BASE, tiny_base().config, {name: Linear(WIDTH, WIDTH, norm=200.0) for name in MODULES})


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
def base_model(db, settings) -> BaseModel:
    settings.BASE_MODEL = BASE
    return BaseModel.objects.create(name=BASE, config=WIDE_BASE.config, modules=WIDE_BASE.modules_json())


@pytest.fixture
def service(transactional_db, valkey, engine, acme, monkeypatch) -> Iterator[Service]:
    """The service of Acme, whose workers do at once what there is to do."""
    app.loader.import_default_modules()  # what is not known here would be sent to the broker
    monkeypatch.setattr(UploadViewSet, "stream_limits", StreamLimits(poll_s=0.05, max_stream_s=5))
    valkey.set(valkey_names.epoch_key(), "whole")
    with GatewayThread() as gateway, httpx.HTTPTransport() as storage, eager_tasks():
        yield Service(gateway, storage)


@pytest.fixture
def api_key(service, acme, alice) -> str:
    """The secret of a key that may do everything in Acme."""
    return issue_key(acme, name="laptop", by=alice, scopes=["admin"])[1]


class Waits(list[float]):
    """The seconds that a client waited. One that waits for ever fails its test."""

    def append(self, wait_s: float) -> None:
        assert len(self) < MOST_WAITS
        super().append(wait_s)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def new_client(service, api_key) -> Callable[[RetryPolicy], Client]:
    """Makes clients that wait in their own way."""

    def make(retries: RetryPolicy) -> Client:
        return Client(
            api_key,
            BASE_URL,
            retries=retries,
            http_transport=service.transport,
        )

    return make


@pytest.fixture
def client(new_client, waits) -> Client:
    def wait(wait_s: float) -> None:
        waits.append(wait_s)

    return new_client(RetryPolicy(sleep=wait))


@pytest.fixture
def trains(service, trainer, tmp_path, acme, monkeypatch):
    """Acme can pay for trainings, which a fake runs; while a client waits, beat sends what is to be done."""
    monkeypatch.setattr("django.conf.settings.TRAINING_WRITER_PARAMETERS", 10**12)  # no engine answers here
    answer_for_the_base(monkeypatch)
    grant_credit(acme, 5 * NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    adapter_of_rank(1).write(tmp_path / "adapter")
    sleep = service.sleep

    def sleep_and_sweep(wait_s: float) -> None:
        advance_all()
        sleep(wait_s)

    monkeypatch.setattr(service, "sleep", sleep_and_sweep)
    monkeypatch.setattr(Waits, "append", lambda _, wait_s: sleep_and_sweep(wait_s))


@pytest.fixture
def chapters(tmp_path) -> list[Path]:
    """Two files of four thousand words."""
    files = []
    for number in (1, 2):
        file = tmp_path / f"chapter-{number}.txt"
        file.write_text(make_text(4000, number))
        files.append(file)
    return files


@pytest.fixture
def type_command(capsys, monkeypatch) -> Callable[..., Done]:
    """Run a command as it is typed; `stdin` is what is piped into it."""

    def run_command(session: Session, *arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", Terminal(stdin))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments], session)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def command(service, type_command) -> Callable[..., Done]:
    """The command line of a machine that reaches the service."""

    def run_command(*arguments: object, stdin: str = "") -> Done:
        session = Session(
            retries=RetryPolicy(sleep=service.sleep),
            http_transport=service.transport,
        )
        return type_command(session, *arguments, stdin=stdin)

    return run_command


@pytest.fixture
def offline_command(type_command) -> Callable[..., Done]:
    """The command line of a machine without a network: a command that sends something fails its test."""
    nowhere = httpx.MockTransport(lambda request: pytest.fail(f"{request.url} was asked"))
    return partial(type_command, Session(http_transport=nowhere))


@pytest.fixture
def logged_in(command, api_key) -> Callable[..., Done]:
    """The command line after a login."""
    save_settings(Settings(BASE_URL, api_key, "acme"))
    return command


@cache
def adapter_of_rank(rank: int) -> Adapter:
    return valid_adapter(WIDE_BASE, rank=rank)


@pytest.fixture
def adapter(tmp_path) -> Path:
    """A folder as PEFT writes it."""
    folder = tmp_path / "adapter"
    adapter_of_rank(1).write(folder)
    return folder


@pytest.fixture
def two_versions(logged_in, acme, engine) -> Callable[..., Done]:
    """The command line of a workspace whose style has two versions; the second one is live."""
    for _ in range(2):
        known(acme, "brand-voice", engine)
    return logged_in


@pytest.fixture
def writer(service, two_versions, engine) -> vllm_data.FakeVllm:
    """An engine that writes, in each version of the style, what its `words` are."""
    writer = vllm_data.FakeVllm()
    writer.words = ["I", " am ", "brand-voice"]
    engine.url = service.gateway.enter(writer.serve())
    engine.is_healthy = True
    engine.save(update_fields=["url", "is_healthy"])
    publisher.mark_engines_changed([engine.pk])
    return writer


@pytest.fixture
def broken_line() -> httpx.ConnectError:
    return httpx.ConnectError("Connection refused")
