"""Only public addresses are reached: by any spelling, for every address that a name has."""

import socket
import threading
from ipaddress import ip_address

import pytest

from tenants.webhooks import addresses
from tenants.webhooks.addresses import (
    BadUrl,
    RefusedAddress,
    ResolvedTooLate,
    Unresolved,
    is_public,
    parse_url,
    resolve,
)

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
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_of_a_network_nearby_is_refused_alone_and_among_good_ones(text, names):
    assert not is_public(ip_address(text))
    target = parse_url("https://example.com/", allows_loopback=False)
    for answer in ([text], [*PUBLIC, text]):
        names(answer)
        with pytest.raises(RefusedAddress, match="not a public address"):
            resolve(target, allows_loopback=False, within_s=5)


def test_a_name_is_asked_for_once(names):
    asked = names(PUBLIC)
    target = parse_url("https://example.com:8443/a?b=c", allows_loopback=False)
    assert resolve(target, allows_loopback=False, within_s=5) == PUBLIC
    assert asked == ["example.com"]
    assert (target.port, target.path, target.host_header) == (8443, "/a?b=c", "example.com:8443")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]:8443/", "https://localhost/", "https://a.localhost/",
        "https://169.254.169.254/latest/meta-data/", "https://[::ffff:10.0.0.1]/", "https://10.0.0.1:443/",
    ],
)  # fmt: skip
def test_an_address_written_out_is_refused_when_it_is_entered(url):
    with pytest.raises(RefusedAddress):
        parse_url(url, allows_loopback=False)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_an_address_are_refused_when_they_are_resolved(host):
    """The system's resolver reads them as 127.0.0.1; so they are judged by what it says."""
    target = parse_url(f"https://{host}/", allows_loopback=False)
    with pytest.raises(RefusedAddress):
        resolve(target, allows_loopback=False, within_s=5)


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
def test_what_is_no_address_of_a_receiver_is_refused_in_words(url, said):
    with pytest.raises(BadUrl, match=said) as raised:
        parse_url(url, allows_loopback=False)
    assert addresses.EXAMPLE in raised.value.message


def test_in_development_this_machine_may_receive_but_plain_http_goes_nowhere_else(names):
    target = parse_url("http://localhost:9000/", allows_loopback=True)
    names(["127.0.0.1"])
    assert resolve(target, allows_loopback=True, within_s=5) == ["127.0.0.1"]
    names(PUBLIC)
    with pytest.raises(RefusedAddress):
        resolve(target, allows_loopback=True, within_s=5)


def test_a_name_without_an_address_and_one_that_no_resolver_takes_are_said(monkeypatch):
    target = parse_url(f"https://{'a' * 70}.example.com/", allows_loopback=False)
    with pytest.raises(Unresolved):
        resolve(target, allows_loopback=False, within_s=5)

    def getaddrinfo(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    target = parse_url("https://no.example.com/", allows_loopback=False)
    with pytest.raises(Unresolved, match=r"^no\.example\.com can't be resolved"):
        resolve(target, allows_loopback=False, within_s=5)


def test_a_name_server_that_hangs_holds_nobody_up(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: ended.wait(30))
    target = parse_url("https://slow.example.com/", allows_loopback=False)
    with pytest.raises(ResolvedTooLate):
        resolve(target, allows_loopback=False, within_s=0.05)
    ended.set()
