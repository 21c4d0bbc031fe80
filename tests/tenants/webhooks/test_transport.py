"""One POST to servers that are slow, redirect, hang, answer without end or change their DNS answer."""

import dataclasses
import time
from http.server import BaseHTTPRequestHandler

import pytest

from tenants.webhooks import transport
from tenants.webhooks.transport import EndpointAnswer
from tests.tenants.webhooks.conftest import LIMITS, Receiver, answering

BODY = b'{"type":"webhook.test"}'
CHUNK = b"x" * 65_536
TOO_LATE = "No complete response within 0.3 seconds."
SHORT = dataclasses.replace(LIMITS, total_s=0.3)


def post(url: str, limits: transport.AttemptLimits = LIMITS) -> EndpointAnswer:
    return transport.post(url, BODY, {"Content-Type": "application/json"}, limits)


def test_a_body_is_posted_and_the_answer_comes_back(new_receiver):
    receiver = new_receiver(answering(202, "taken"))
    answer = post(receiver.url)
    assert (answer.status_code, answer.body, answer.failure) == (202, b"taken", "")
    assert answer.is_success
    [request] = receiver.received
    assert (request.path, request.body) == ("/hooks?from=polyscribe", BODY.decode())
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-length"] == str(len(BODY))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(new_receiver, receiver, status):
    elsewhere = new_receiver(answering(status, Location=receiver.url))
    answer = post(elsewhere.url)
    assert (answer.status_code, answer.is_success) == (status, False)
    assert receiver.received == []


def hang(handler: BaseHTTPRequestHandler) -> None:
    """EndpointAnswer nothing until the other end hangs up."""
    handler.rfile.read(1)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte of a header again and again, always in time for a socket's own limit."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(handler, b"a")


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    _drip(handler, b"a")


def continue_for_ever(handler: BaseHTTPRequestHandler) -> None:
    """Announce the answer again and again; HTTP clients skip each of these."""
    _drip(handler, b"HTTP/1.1 100 Continue\r\n\r\n")


def _drip(handler: BaseHTTPRequestHandler, piece: bytes) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        handler.wfile.write(piece)
        handler.wfile.flush()
        time.sleep(0.02)


@pytest.mark.parametrize("behaviour", [hang, drip_headers, drip_body, continue_for_ever])
def test_the_deadline_holds_over_all_of_it(new_receiver, behaviour):
    receiver = new_receiver(behaviour)
    began = time.monotonic()
    answer = post(receiver.url, SHORT)
    assert (answer.status_code, answer.failure) == (None, TOO_LATE)
    assert 0.3 <= time.monotonic() - began < 20
    assert 300 <= answer.latency_ms < 20_000


def test_two_gigabytes_are_not_read(new_receiver):
    sent_bytes = []

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
        while True:
            sent_bytes.append(handler.connection.send(CHUNK))

    answer = post(new_receiver(pour).url)
    assert answer.is_success
    assert answer.body == b"x" * 65_536
    assert sum(sent_bytes) < 20_000_000  # what the kernels of both ends hold


def pour_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(90):
        handler.wfile.write(f"X-{number}: ".encode() + b"x" * 60_000 + b"\r\n")


def babble(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (pour_headers, "The response headers are too large."),
        (babble, "The response is not valid HTTP."),
        (hang_up, "The connection was closed before a response arrived."),
    ],
)
def test_what_is_no_answer_is_said(new_receiver, behaviour, said):
    answer = post(new_receiver(behaviour).url)
    assert (answer.status_code, answer.failure) == (None, said)


def test_an_answer_that_breaks_off_in_its_body_is_an_answer(new_receiver):
    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        handler.close_connection = True

    assert post(new_receiver(break_off).url).is_success


def test_a_port_that_nobody_listens_on_is_said(new_receiver):
    receiver = new_receiver()
    receiver.stop()
    assert post(receiver.url).failure == "The connection was refused."


def test_the_address_that_was_checked_is_the_one_that_is_reached(new_receiver, names):
    """The name's second answer leads elsewhere: it is never asked for (DNS rebinding)."""
    checked = new_receiver()
    other = new_receiver(host="127.0.0.2", port=checked.port)
    asked = names(["127.0.0.1"], ["127.0.0.2"])
    url = f"http://rebind.example.com:{checked.port}/"
    assert post(url).is_success
    assert asked == ["rebind.example.com"]
    assert (len(checked.received), other.received) == (1, [])
    assert checked.received[0].headers["host"] == f"rebind.example.com:{checked.port}"


def test_a_name_that_turns_private_after_the_check_is_not_reached(receiver, names):
    """In production: the first answer is public, and that is where the connection goes."""
    asked = names(["93.184.216.34"], ["127.0.0.1"])
    in_production = dataclasses.replace(LIMITS, allows_loopback=False)
    # The tests' own guard stops what would leave this machine, and tells where it was going.
    with pytest.raises(RuntimeError, match=r"93\.184\.216\.34"):
        post(f"https://rebind.example.com:{receiver.port}/", in_production)
    assert asked == ["rebind.example.com"]
    assert receiver.received == []


def test_the_next_checked_address_is_tried_when_the_first_takes_no_connection(receiver, names):
    names(["127.0.0.3", "127.0.0.1"])
    assert post(f"http://two.example.com:{receiver.port}/").is_success


def test_in_production_this_machine_is_never_reached(receiver):
    in_production = dataclasses.replace(LIMITS, allows_loopback=False)
    secure = receiver.url.replace("http:", "https:")
    assert "Webhooks require https" in str(post(receiver.url, in_production).failure)
    assert "not a public address" in str(post(secure, in_production).failure)
    assert receiver.received == []


def test_no_proxy_of_the_environment_is_used(receiver, new_receiver, monkeypatch):
    proxy = new_receiver()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert post(receiver.url).is_success
    assert (len(receiver.received), proxy.received) == (1, [])


def test_tls_demands_a_certificate_for_the_name_not_for_the_address(new_receiver, names, certified):
    receiver: Receiver = new_receiver(tls=certified.serving)
    names(["127.0.0.1"])
    trusting = dataclasses.replace(LIMITS, trusted=transport.trust(certified.trusting))
    answer = post(f"https://{certified.host}:{receiver.port}/", trusting)
    assert answer.is_success, answer.failure
    refused = post(f"https://other.example.com:{receiver.port}/", trusting)
    assert str(refused.failure).startswith("The TLS certificate is invalid: ")
    assert "other.example.com" in str(refused.failure)
    assert not str(refused.failure).endswith("..")  # OpenSSL's reason may be a sentence already
    assert len(receiver.received) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(new_receiver, names, certified):
    receiver = new_receiver(tls=certified.serving)
    names(["127.0.0.1"])
    answer = post(f"https://{certified.host}:{receiver.port}/")
    assert str(answer.failure).startswith("The TLS certificate is invalid: ")
    assert receiver.received == []


def test_the_deadline_holds_in_tls_too(new_receiver, names, certified):
    receiver = new_receiver(drip_headers, tls=certified.serving)
    names(["127.0.0.1"])
    trusting = dataclasses.replace(SHORT, trusted=transport.trust(certified.trusting))
    began = time.monotonic()
    assert post(f"https://{certified.host}:{receiver.port}/", trusting).failure == TOO_LATE
    assert time.monotonic() - began < 2
