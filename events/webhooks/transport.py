"""The way out to addresses that customers choose: one POST by libcurl, to public addresses and within bounds.

Without this, an endpoint could be an address of our own network, which answers our servers and no stranger
(server-side request forgery). curl asks for a socket with the very address that it is about to connect to,
and gets one only for a public address: what a name resolved to before, or will later, makes no difference.
One deadline holds over name server, handshake, headers and body. Nothing is followed, repeated or sent
through a proxy of the environment. Why curl: docs/decisions/0078-webhooks-leave-by-curl.md.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pycurl
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from core.errors import DomainError, Invalid
from core.messages import NO_MESSAGE, Message, MessageCode
from events.models import MAX_URL_LENGTH

EXAMPLE = "https://example.com/webhooks"
QUICK_EXIT = 322  # CURLOPT_QUICK_EXIT, which pycurl 7.49 has no name for

# What Python does not count as private. Forms that carry an IPv4 address inside an IPv6 one are refused
# whole: what they lead to depends on the network that we stand in.
REFUSED_NETWORKS = [
    ip_network("168.63.129.16/32"),  # Azure's metadata, at an address that is public elsewhere
    ip_network("192.88.99.0/24"),  # 6to4 relays
    ip_network("::/96"),  # IPv4-compatible, with :: and ::1
    ip_network("::ffff:0:0/96"),  # IPv4-mapped
    ip_network("::ffff:0:0:0/96"),  # IPv4-translated
    ip_network("64:ff9b::/96"),  # NAT64
    ip_network("64:ff9b:1::/48"),  # NAT64 of one's own
    ip_network("100::/64"),  # discarded
    ip_network("2001::/32"),  # Teredo
    ip_network("2002::/16"),  # 6to4
    ip_network("5f00::/16"),  # segment routing
    ip_network("fec0::/10"),  # site-local, as link-local was once
]

type Address = IPv4Address | IPv6Address


class BadUrl(Invalid):
    """{why} Enter a URL such as {example}."""


class RefusedAddress(Invalid):
    """{host} resolves to {address}, which is not a public address. Webhooks are only sent to public
    addresses."""


class NoAnswer(MessageCode):
    """Why no answer came."""

    UNRESOLVED = _("{host} can't be resolved. Check the spelling and the DNS records.")
    NOT_CONNECTED = _("We couldn't connect to {host}.")
    TOO_LATE = _("No complete response within {total_s:g} seconds.")
    BAD_CERTIFICATE = _("The TLS certificate is invalid: {reason}.")
    NO_TLS = _("The TLS handshake failed. Does the URL support https?")
    BROKE_OFF = _("The connection was closed before a response arrived.")
    NO_HTTP = _("The response is not valid HTTP.")


FAULTS = {
    pycurl.E_URL_MALFORMAT: NoAnswer.UNRESOLVED,  # curl is stricter about host names than Python
    pycurl.E_COULDNT_RESOLVE_HOST: NoAnswer.UNRESOLVED,
    pycurl.E_COULDNT_CONNECT: NoAnswer.NOT_CONNECTED,
    pycurl.E_OPERATION_TIMEDOUT: NoAnswer.TOO_LATE,
    pycurl.E_PEER_FAILED_VERIFICATION: NoAnswer.BAD_CERTIFICATE,
    pycurl.E_SSL_CONNECT_ERROR: NoAnswer.NO_TLS,
    pycurl.E_GOT_NOTHING: NoAnswer.BROKE_OFF,
    pycurl.E_SEND_ERROR: NoAnswer.BROKE_OFF,
    pycurl.E_RECV_ERROR: NoAnswer.BROKE_OFF,
}


@dataclass(frozen=True)
class AttemptLimits:
    """What one delivery may take. Tests give shorter ones, names of their own and a certificate to trust."""

    total_s: float = 10.0
    read_bytes: int = 64 * 1024  # of an answer's body; the rest is never read. curl takes 300 KB of headers
    resolve: tuple[str, ...] = ()  # `host:port:address,address`, as curl's --resolve
    trusted: str = ""  # a file of certificates; else those that this machine trusts


LIMITS = AttemptLimits()
BOUNDS = {
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.FOLLOWLOCATION: 0,
    pycurl.PROXY: "",  # none, whatever the environment says
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PATH_AS_IS: 1,
    pycurl.FORBID_REUSE: 1,
    pycurl.NOSIGNAL: 1,  # deliveries run in threads
    # A name server that hangs would hold `close` up until its thread ends, half a minute as a rule.
    QUICK_EXIT: 1,
}


@dataclass(frozen=True)
class EndpointAnswer:
    """What came back: a status and the body's beginning, or why nothing did."""

    latency_ms: int = 0
    status_code: int | None = None
    body: bytes = b""
    failure: Message = NO_MESSAGE

    @property
    def is_success(self) -> bool:
        """True for 2xx: nothing else tells that the receiver has taken the event."""
        return self.status_code is not None and 200 <= self.status_code < 300


def check_url(url: str) -> SplitResult:
    """Return an endpoint's URL in parts. WEBHOOKS_TO_LOOPBACK lets plain http and this machine pass, too.

    Looks at the text alone and asks no name server; the rest shows when something is sent. Raises BadUrl, or
    RefusedAddress for a literal address that is not public.
    """
    too_long = gettext("A URL can have at most {max_url_length} characters.")
    invalid = gettext("This is not a valid URL.")
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl(why=invalid, example=EXAMPLE, field="url") from None
    is_insecure = parts.scheme == "http" and not settings.WEBHOOKS_TO_LOOPBACK
    for is_wrong, why in (
        (len(url) > MAX_URL_LENGTH, too_long.format(max_url_length=MAX_URL_LENGTH)),
        (not is_plain, gettext("A URL can only contain ASCII characters, without spaces.")),
        (parts.scheme not in ("https", "http") or not parts.hostname, invalid),
        (is_insecure, gettext("Webhooks require https.")),
        (
            "@" in parts.netloc,
            gettext("A URL can't contain credentials. Verify the signature of webhooks instead."),
        ),
        (port == 0, gettext("Port 0 can't be used.")),
    ):
        if is_wrong:
            raise BadUrl(why=why, example=EXAMPLE, field="url")
    host = str(parts.hostname)
    is_localhost = host == "localhost" or host.endswith(".localhost")
    try:
        address = ip_address("127.0.0.1" if is_localhost else host)
    except ValueError:
        return parts  # a name
    if not _is_reachable(address, parts):
        raise RefusedAddress(host=host, address=address, field="url")
    return parts


def is_public(address: Address) -> bool:
    """Return whether an address is one of the internet: not private, shared, link-local or reserved."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in REFUSED_NETWORKS)


def _is_reachable(address: Address, url: SplitResult) -> bool:
    """Return whether a webhook may go to an address; plain http may to this very machine only."""
    if settings.WEBHOOKS_TO_LOOPBACK and address.is_loopback:
        return True
    return url.scheme == "https" and is_public(address)


def post(url: str, body: bytes, headers: Mapping[str, str], limits: AttemptLimits = LIMITS) -> EndpointAnswer:
    """Send a body to an endpoint's URL and return its answer. What went wrong is an answer, too."""
    try:
        transfer = _Transfer(check_url(url), limits)
    except DomainError as error:
        return EndpointAnswer(failure=Message.of(error))
    machine = ssl.get_default_verify_paths()  # the wheel's curl looks where AlmaLinux has its certificates
    options = BOUNDS | {
        pycurl.TIMEOUT_MS: round(limits.total_s * 1000),
        pycurl.RESOLVE: list(limits.resolve),
        pycurl.CAINFO: limits.trusted or machine.cafile,
        pycurl.CAPATH: None if limits.trusted else machine.capath,
        pycurl.OPENSOCKETFUNCTION: transfer.open_socket,
        pycurl.WRITEFUNCTION: transfer.read,
        pycurl.URL: url,
        pycurl.POSTFIELDS: body,
        pycurl.HTTPHEADER: [f"{name}: {value}" for name, value in headers.items()],
    }
    failure = NO_MESSAGE
    with closing(pycurl.Curl()) as curl, transfer.sockets:
        for option, value in options.items():
            curl.setopt(option, value)
        try:
            curl.perform()
        except pycurl.error as error:
            # A receiver that breaks off in its body, or sends more than we read, has answered anyway.
            if error.args[0] == pycurl.E_OPERATION_TIMEDOUT or not transfer.body:
                failure = transfer.describe_failure(*error.args)
        latency_ms = round(curl.getinfo(pycurl.TOTAL_TIME) * 1000)
        if failure:
            return EndpointAnswer(latency_ms, failure=failure)
        return EndpointAnswer(latency_ms, curl.getinfo(pycurl.RESPONSE_CODE), bytes(transfer.body))


@dataclass
class _Transfer:
    """One POST: the sockets that curl may open for it, and the beginning of the answer's body."""

    url: SplitResult
    limits: AttemptLimits
    sockets: ExitStack = field(default_factory=ExitStack)
    body: bytearray = field(default_factory=bytearray)
    refused: Address | None = None  # the last address that got no socket

    def open_socket(self, purpose: int, requested: Any) -> socket.socket | int:
        """Return a socket for an address, or SOCKET_BAD: then curl tries the name's next address."""
        family, kind, protocol, address = requested
        parsed = ip_address(address[0])
        if not _is_reachable(parsed, self.url):
            self.refused = parsed
            return pycurl.SOCKET_BAD  # type: ignore[no-any-return]
        return self.sockets.enter_context(socket.socket(family, kind, protocol))  # curl uses a copy of it

    def read(self, piece: bytes) -> int:
        """Keep the beginning of the body. Where that is less than what came, curl ends the transfer."""
        kept = piece[: self.limits.read_bytes - len(self.body)]
        self.body.extend(kept)
        return len(kept)

    def describe_failure(self, code: int, reason: str) -> Message:
        """Return what went wrong, for the endpoint's owner."""
        if code == pycurl.E_COULDNT_CONNECT and self.refused:
            return Message.of(RefusedAddress(host=self.url.hostname, address=self.refused))
        fault = FAULTS.get(code, NoAnswer.NO_HTTP)
        reason = reason.rpartition(": ")[2].removesuffix(".")
        return fault(host=self.url.hostname, reason=reason, total_s=self.limits.total_s)
