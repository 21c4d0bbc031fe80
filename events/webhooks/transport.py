"""The way out to addresses that customers choose: one POST by libcurl, to public addresses and within bounds.

Without this, an endpoint could be an address of our own network, which answers our servers and no stranger
(server-side request forgery). curl asks for a socket with the very address that it is about to connect to,
and gets one only for a public address: what a name resolved to before, or will later, makes no difference.
One deadline holds over name server, handshake, headers and body. Nothing is followed, repeated or sent
through a proxy of the environment. Why curl: docs/decisions/0078-webhooks-leave-by-curl.md.
"""

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pycurl
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from core.errors import DomainError, Invalid
from core.messages import NO_MESSAGE, Message, MessageCode
from events.models.events import MAX_URL_LENGTH

KIB = 1024
EXAMPLE = "https://example.com/webhooks"
QUICK_EXIT = 322  # CURLOPT_QUICK_EXIT, which pycurl 7.49 has no name for

# What Python does not count as private. Forms that carry an IPv4 address inside an IPv6 one are refused
# whole: what they lead to depends on the network that we stand in.
REFUSED_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's metadata, at an address that is public elsewhere
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible, with :: and ::1
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 of one's own
        "100::/64",  # discarded
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local, as link-local was once
    )
]

type Address = IPv4Address | IPv6Address


class BadUrl(Invalid):
    """{why} Enter a URL such as {example}."""

    code = "bad_url"


class RefusedAddress(Invalid):
    """{host} resolves to {address}, which is not a public address. Webhooks are only sent to public
    addresses."""

    code = "refused_address"


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
    read_bytes: int = 64 * KIB  # of an answer's body; the rest is never read. curl takes 300 KB of headers
    allows_loopback: bool | None = None  # None: as the settings say
    resolve: tuple[str, ...] = ()  # `host:port:address,address`, as curl's --resolve
    trusted: str = ""  # a file of certificates; else those that this machine trusts


@dataclass(frozen=True)
class EndpointAnswer:
    """What came back: a status and the body's beginning, or why nothing did."""

    latency_ms: int
    status_code: int | None = None
    body: bytes = b""
    failure: Message = NO_MESSAGE

    @property
    def is_success(self) -> bool:
        """True for 2xx: nothing else tells that the receiver has taken the event."""
        return self.status_code is not None and 200 <= self.status_code < 300


def check_url(url: str, *, allows_loopback: bool) -> SplitResult:
    """Return an endpoint's URL in parts. `allows_loopback` lets plain http and this machine pass, too.

    Looks at the text alone and asks no name server. Raises BadUrl, or RefusedAddress for a literal address
    that is not public.
    """
    if len(url) > MAX_URL_LENGTH:
        raise _bad_url(
            gettext("A URL can have at most {max_url_length} characters.").format(
                max_url_length=MAX_URL_LENGTH
            )
        )
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _bad_url(gettext("A URL can only contain ASCII characters, without spaces."))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_url(gettext("This is not a valid URL.")) from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _bad_url(gettext("This is not a valid URL."))
    if parts.scheme == "http" and not allows_loopback:
        raise _bad_url(gettext("Webhooks require https."))
    if "@" in parts.netloc:
        raise _bad_url(gettext("A URL can't contain credentials. Verify the signature of webhooks instead."))
    if port == 0:
        raise _bad_url(gettext("Port 0 can't be used."))
    _refuse_literal(parts, allows_loopback=allows_loopback)
    return parts


def is_public(address: Address) -> bool:
    """Return whether an address is one of the internet: not private, shared, link-local or reserved."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    same_version = [network for network in REFUSED_NETWORKS if network.version == address.version]
    return not any(address in network for network in same_version)


def post(url: str, body: bytes, headers: Mapping[str, str], limits: AttemptLimits) -> EndpointAnswer:
    """Send a body to an endpoint's URL and return its answer. What went wrong is an answer, too."""
    allows_loopback = limits.allows_loopback
    if allows_loopback is None:
        allows_loopback = settings.WEBHOOKS_TO_LOOPBACK
    try:
        parts = check_url(url, allows_loopback=allows_loopback)
    except DomainError as error:
        return EndpointAnswer(latency_ms=0, failure=Message.of(error))
    curl = pycurl.Curl()
    with closing(curl), ExitStack() as sockets:
        transfer = _Transfer(parts, limits, sockets, allows_loopback=allows_loopback)
        _set_bounds(curl, limits)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, transfer.open_socket)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.read)
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        failure = transfer.perform(curl)
        return EndpointAnswer(
            latency_ms=round(curl.getinfo(pycurl.TOTAL_TIME) * 1000),
            status_code=None if failure else curl.getinfo(pycurl.RESPONSE_CODE),
            body=b"" if failure else bytes(transfer.body),
            failure=failure,
        )


@dataclass
class _Transfer:
    """One POST: the sockets that curl may open for it, and the beginning of the answer's body."""

    url: SplitResult
    limits: AttemptLimits
    sockets: ExitStack
    allows_loopback: bool
    body: bytearray = field(default_factory=bytearray)
    refused: Address | None = None  # the last address that got no socket

    def perform(self, curl: Any) -> Message:
        """Return why there is no answer, or nothing where there is one."""
        try:
            curl.perform()
        except pycurl.error as error:
            code, reason = error.args
            # A receiver that breaks off in its body, or sends more than we read, has answered anyway.
            if code == pycurl.E_OPERATION_TIMEDOUT or not self.body:
                return self._describe(code, reason)
        return NO_MESSAGE

    def open_socket(self, purpose: int, requested: Any) -> socket.socket | int:
        """Return a socket for an address, or SOCKET_BAD: then curl tries the name's next address."""
        family, kind, protocol, address = requested
        parsed = _parse(address[0])
        if not _is_reachable(parsed, self.url, allows_loopback=self.allows_loopback):
            self.refused = parsed
            return pycurl.SOCKET_BAD  # type: ignore[no-any-return]
        return self.sockets.enter_context(socket.socket(family, kind, protocol))  # curl uses a copy of it

    def read(self, piece: bytes) -> int:
        """Keep the beginning of the body. Where that is less than what came, curl ends the transfer."""
        kept = piece[: self.limits.read_bytes - len(self.body)]
        self.body.extend(kept)
        return len(kept)

    def _describe(self, code: int, reason: str) -> Message:
        """Return what went wrong, for the endpoint's owner."""
        if code == pycurl.E_COULDNT_CONNECT and self.refused:
            return Message.of(RefusedAddress(host=self.url.hostname, address=self.refused))
        fault = FAULTS.get(code, NoAnswer.NO_HTTP)
        reason = reason.rpartition(": ")[2].removesuffix(".")
        return fault(host=self.url.hostname, reason=reason, total_s=self.limits.total_s)


def _set_bounds(curl: Any, limits: AttemptLimits) -> None:
    """Let a transfer do one thing, within its time."""
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PROXY, "")  # none, whatever the environment says
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.PATH_AS_IS, 1)
    curl.setopt(pycurl.FORBID_REUSE, 1)
    curl.setopt(pycurl.TIMEOUT_MS, round(limits.total_s * 1000))
    curl.setopt(pycurl.NOSIGNAL, 1)  # deliveries run in threads
    # A name server that hangs would hold `close` up until its thread ends, half a minute as a rule.
    curl.setopt(QUICK_EXIT, 1)
    curl.setopt(pycurl.RESOLVE, list(limits.resolve))
    # The wheel's curl looks for certificates where AlmaLinux has them.
    machine = ssl.get_default_verify_paths()
    for option, path in (
        (pycurl.CAINFO, limits.trusted or machine.cafile),
        (pycurl.CAPATH, "" if limits.trusted else machine.capath),
    ):
        if path:
            curl.setopt(option, path)
        else:
            curl.unsetopt(option)


def _bad_url(why: str) -> BadUrl:
    return BadUrl(why=why, example=EXAMPLE, field="url")


def _refuse_literal(url: SplitResult, *, allows_loopback: bool) -> None:
    """Refuse at once what shows without a name server; the rest shows when something is sent."""
    host = str(url.hostname)
    if host == "localhost" or host.endswith(".localhost"):
        if not allows_loopback:
            raise RefusedAddress(host=host, address="this machine itself", field="url")
        return
    try:
        address = _parse(host)
    except ValueError:
        return  # a name
    if not _is_reachable(address, url, allows_loopback=allows_loopback):
        raise RefusedAddress(host=host, address=address, field="url")


def _is_reachable(address: Address, url: SplitResult, *, allows_loopback: bool) -> bool:
    """Return whether a webhook may go to an address; plain http may to this very machine only."""
    return (allows_loopback and address.is_loopback) or (url.scheme == "https" and is_public(address))


def _parse(text: str) -> Address:
    # A link-local address may come with its zone, fe80::1%eth0.
    return ipaddress.ip_address(text.partition("%")[0])
