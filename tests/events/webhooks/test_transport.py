"""One POST: to public addresses only, by any spelling; to servers that are slow, redirect or never end."""

import dataclasses
import socket
import time
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from urllib.parse import urlsplit

import pycurl
import pytest

from events.webhooks import transport
from events.webhooks.transport import BadUrl, EndpointAnswer, RefusedAddress, check_url, is_public
from tests.events.webhooks.conftest import LIMITS, Receiver, answering

BODY = b'{"type":"webhook.test"}'
CHUNK = b"x" * 65_536
TOO_LATE = "No complete response within 0.3 seconds."
SHORT = dataclasses.replace(LIMITS, total_s=0.3)
SLOW_FOR_S = 60

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",  # carrier-grade NAT
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's
    "169.254.169.254",  # AWS's, Google's, Azure's
    "172.16.0.1",
    "192.0.0.192",  # Oracle's
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:1::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # AWS's metadata
    "fe80::1",
    "fe80::1%eth0",  # with its zone
    "fec0::1",
    "ff02::1",
]


@pytest.fixture
def in_production(settings) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False


def post(url: str, limits: transport.AttemptLimits = LIMITS) -> EndpointAnswer:
    return transport.post(url, BODY, {"Content-Type": "application/json"}, limits)


def resolving(receiver: Receiver, host: str, *addresses: str, **limits: object) -> transport.AttemptLimits:
    """Return limits under which a name has these addresses."""
    return dataclasses.replace(LIMITS, resolve=(f"{host}:{receiver.port}:{','.join(addresses)}",), **limits)


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
    until = time.monotonic() + SLOW_FOR_S
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
    assert 0.3 <= time.monotonic() - began < SLOW_FOR_S
    assert 300 <= answer.latency_ms < 1000 * SLOW_FOR_S


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
        (pour_headers, "The connection was closed before a response arrived."),
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
    assert post(receiver.url).failure == "We couldn't connect to 127.0.0.1."


def test_a_name_is_reached_at_its_public_addresses_alone_whenever_it_leads_elsewhere(receiver, in_production):
    """curl asks for each connection with the address that it will use: DNS rebinding changes nothing."""
    for addresses in (["127.0.0.1"], ["10.0.0.1", "::1"], ["::ffff:127.0.0.1"]):
        limits = resolving(receiver, "rebind.example.com", *addresses)
        answer = post(f"https://rebind.example.com:{receiver.port}/", limits)
        assert answer.status_code is None
        assert str(answer.failure).startswith("rebind.example.com resolves to ")
        assert "not a public address" in str(answer.failure)
    assert receiver.received == []


def open_socket(address: str, *, url: str = "https://example.com/") -> bool:
    """Return whether curl gets a socket for an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    transfer = transport._Transfer(urlsplit(url), LIMITS)
    with transfer.sockets:
        opened = transfer.open_socket(0, (family, socket.SOCK_STREAM, 6, (address, 443)))
        return opened != pycurl.SOCKET_BAD


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(in_production, text):
    assert is_public(ip_address(text))
    assert open_socket(text)


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_of_a_network_nearby_gets_no_socket(in_production, text):
    assert not is_public(ip_address(text))
    assert not open_socket(text)


def test_in_development_this_machine_may_receive_but_plain_http_goes_nowhere_else():
    for address, url in (
        ("127.0.0.1", "http://localhost/"),
        ("::1", "https://localhost/"),
        (PUBLIC[0], "https://a/"),
    ):
        assert open_socket(address, url=url)
    for address, url in ((PUBLIC[0], "http://example.com/"), ("10.0.0.1", "https://example.com/")):
        assert not open_socket(address, url=url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_an_address_are_judged_by_what_they_lead_to(receiver, in_production, host):
    answer = post(f"https://{host}:{receiver.port}/")
    assert f"{host} resolves to 127.0.0.1" in str(answer.failure)
    assert receiver.received == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]:8443/", "https://localhost/", "https://a.localhost/",
        "https://169.254.169.254/latest/meta-data/", "https://[::ffff:10.0.0.1]/", "https://10.0.0.1:443/",
    ],
)  # fmt: skip
def test_an_address_written_out_is_refused_when_it_is_entered(in_production, url):
    with pytest.raises(RefusedAddress):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "require https"),
        ("ftp://example.com/", "not a valid URL"),
        ("file:///etc/passwd", "not a valid URL"),
        ("example.com/hooks", "not a valid URL"),
        ("https://", "not a valid URL"),
        ("https://[::1/", "not a valid URL"),
        ("https://example.com:99999/", "not a valid URL"),
        ("https://example.com:0/", "Port 0"),
        ("https://me:secret@example.com/", "can't contain credentials"),
        ("https://example.com/a b", "without spaces"),
        ("https://example.com\\@10.0.0.1/", "without spaces"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com/\r\nX-Injected: 1", "without spaces"),
        ("https://example.com/" + "a" * 500, "at most 500"),
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused_in_words(in_production, url, said):
    with pytest.raises(BadUrl, match=said) as raised:
        check_url(url)
    assert transport.EXAMPLE in raised.value.message


@pytest.mark.parametrize("host", [f"{'a' * 70}.example.com", "a..example.com", "[v1.x]"])
def test_a_name_that_no_resolver_takes_is_said(in_production, host):
    answer = post(f"https://{host}/")
    assert "can't be resolved. Check the spelling" in str(answer.failure)


def test_the_next_address_is_tried_when_the_first_takes_no_connection_or_is_refused(receiver):
    for first in ("127.0.0.3", "10.0.0.1"):
        limits = resolving(receiver, "two.example.com", first, "127.0.0.1")
        assert post(f"http://two.example.com:{receiver.port}/a/../b", limits).is_success
    assert {request.path for request in receiver.received} == {"/a/../b"}
    assert receiver.received[0].headers["host"] == f"two.example.com:{receiver.port}"


def test_in_production_this_machine_is_never_reached(receiver, in_production):
    secure = receiver.url.replace("http:", "https:")
    assert "Webhooks require https" in str(post(receiver.url).failure)
    assert "not a public address" in str(post(secure).failure)
    assert receiver.received == []


def test_no_proxy_of_the_environment_is_used(receiver, new_receiver, monkeypatch):
    proxy = new_receiver()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert post(receiver.url).is_success
    assert (len(receiver.received), proxy.received) == (1, [])


def test_tls_demands_a_certificate_for_the_name_not_for_the_address(new_receiver, certified):
    receiver: Receiver = new_receiver(tls=certified.serving)

    def post_to(host: str) -> EndpointAnswer:
        limits = resolving(receiver, host, "127.0.0.1", trusted=str(certified.trusted))
        return post(f"https://{host}:{receiver.port}/", limits)

    answer = post_to(certified.host)
    assert answer.is_success, answer.failure
    refused = post_to("other.example.com")
    assert str(refused.failure).startswith("The TLS certificate is invalid: ")
    assert "other.example.com" in str(refused.failure)
    assert not str(refused.failure).endswith("..")
    assert len(receiver.received) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(new_receiver, certified):
    receiver = new_receiver(tls=certified.serving)
    limits = resolving(receiver, certified.host, "127.0.0.1")
    answer = post(f"https://{certified.host}:{receiver.port}/", limits)
    assert str(answer.failure).startswith("The TLS certificate is invalid: self-signed certificate")
    assert receiver.received == []


def test_a_receiver_without_tls_is_said(receiver):
    limits = resolving(receiver, "plain.example.com", "127.0.0.1")
    answer = post(f"https://plain.example.com:{receiver.port}/", limits)
    assert str(answer.failure) == "The TLS handshake failed. Does the URL support https?"


def test_the_deadline_holds_in_tls_too(new_receiver, certified):
    receiver = new_receiver(drip_headers, tls=certified.serving)
    limits = resolving(receiver, certified.host, "127.0.0.1", trusted=str(certified.trusted), total_s=0.3)
    began = time.monotonic()
    assert post(f"https://{certified.host}:{receiver.port}/", limits).failure == TOO_LATE
    assert time.monotonic() - began < SLOW_FOR_S
