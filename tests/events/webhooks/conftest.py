"""Receivers of webhooks are real HTTP servers on loopback, which behave as a test says."""

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db.models import Model

from events import outbox
from events.models import EventType, OutboxEvent, WebhookEndpoint
from events.webhooks import delivery, endpoints
from events.webhooks.transport import AttemptLimits
from tenants.access import Access
from tenants.models import Tenant
from tests.waiting import PATIENCE_S

LIMITS = AttemptLimits(total_s=PATIENCE_S)


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: str


type Behaviour = Callable[[BaseHTTPRequestHandler], None]


def answering(status: int, body: str = "", **headers: str) -> Behaviour:
    """Answer with a status, a body and headers."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return behave


@dataclass
class Receiver:
    """A server that keeps what it got, and answers by the next of its behaviours; the last one stays."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    behaviours: list[Behaviour] = field(default_factory=lambda: [answering(200)])
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)  # for behaviours that wait

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.lock:
                    receiver.received.append(Received(self.path, headers, body))
                    is_last = len(receiver.behaviours) == 1
                    behave = receiver.behaviours[0] if is_last else receiver.behaviours.pop(0)
                try:
                    behave(self)
                except OSError:
                    self.close_connection = True  # we hung up, which is what some tests are about

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, *args: Any) -> None:
                pass  # a handshake that we broke off

            def finish_request(self, request: Any, client_address: Any) -> None:
                if receiver.tls is None:
                    super().finish_request(request, client_address)
                    return
                with receiver.tls.wrap_socket(request, server_side=True) as secured:
                    super().finish_request(secured, client_address)

        self.server = Server((self.host, self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hooks?from=polyscribe"

    @property
    def event_ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.received]

    def stop(self) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def new_receiver() -> Iterator[Callable[..., Receiver]]:
    """Makes servers, with the behaviours that they are given, and stops them at the end."""
    made: list[Receiver] = []

    def make(*behaviours: Behaviour, **options: Any) -> Receiver:
        if behaviours:
            options["behaviours"] = list(behaviours)
        made.append(Receiver(**options))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def receiver(new_receiver: Callable[..., Receiver]) -> Receiver:
    """A server that takes everything."""
    return new_receiver()


@pytest.fixture(autouse=True)
def settings_of_a_test(settings) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True


def present_by_id(row: Model) -> dict[str, object]:
    return {"id": str(row.pk), "object": row._meta.model_name}


@pytest.fixture
def presented(settings) -> None:
    """Rows are presented by their ids; webhooks alone subscribe."""
    labels = ("tenants.tenant", "tenants.apikey", "events.webhookendpoint")
    settings.EVENT_PRESENTERS = dict.fromkeys(labels, present_by_id)
    settings.EVENT_SUBSCRIBERS = [delivery.queue_deliveries]


@pytest.fixture
def owner(presented, owner: Access) -> Access:
    return owner


@pytest.fixture
def new_endpoint(owner: Access) -> Callable[..., WebhookEndpoint]:
    """Makes endpoints of Acme's; their secrets are in `.secret`."""

    def make(receiver: Receiver, **facts: Any) -> WebhookEndpoint:
        endpoint, secret = endpoints.create_endpoint(owner, url=receiver.url, **facts)
        endpoint.secret = secret  # type: ignore[attr-defined]
        return endpoint

    return make


@pytest.fixture
def happen(acme: Tenant, presented) -> Callable[..., OutboxEvent]:
    """Lets something happen in Acme."""

    def record(event_type: EventType = EventType.WORKSPACE_RESUMED, **facts: object) -> OutboxEvent:
        return outbox.record_event(acme.pk, event_type, acme, **facts)

    return record


class Certified(NamedTuple):
    """What a server with a certificate for `host` needs, and the file that a client trusts."""

    host: str
    serving: ssl.SSLContext
    trusted: Path


@pytest.fixture(scope="session")
def certified(tmp_path_factory) -> Certified:
    host = "hooks.example.com"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    )
    certificate = unsigned.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("certificates") / "server.pem"
    file.write_bytes(private + certificate)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    trusted = file.with_name("trusted.pem")
    trusted.write_bytes(certificate)
    return Certified(host, serving, trusted)
