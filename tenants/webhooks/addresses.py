"""The way out to addresses that customers choose: public ones only, and within bounds.

Without this, an endpoint could be an address of our own network, which answers our servers and no stranger
(server-side request forgery). A host name is resolved once. Every address that it has must be public, and the
connection goes to one of those that were checked: the name is never resolved a second time.
"""

import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext

from core.errors import Invalid
from tenants.models.events import MAX_URL_LENGTH

HTTPS_PORT = 443
HTTP_PORT = 80
EXAMPLE = "https://example.com/webhooks"

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


class Unresolved(Invalid):
    """{host} can't be resolved. Check the spelling and the DNS records."""

    code = "unresolved"


class ResolvedTooLate(TimeoutError):
    """The name server did not answer in time."""


@dataclass(frozen=True)
class Target:
    """Where a delivery goes, parsed from an endpoint's URL."""

    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        """The Host header: the name, and the port where it is not the scheme's own."""
        usual = HTTPS_PORT if self.is_secure else HTTP_PORT
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == usual else f"{name}:{self.port}"


def parse_url(url: str, *, allows_loopback: bool) -> Target:
    """Return an endpoint's URL in parts. `allows_loopback` lets plain http pass, too.

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
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host:
        raise _bad_url(gettext("This is not a valid URL."))
    if parts.scheme == "http" and not allows_loopback:
        raise _bad_url(gettext("Webhooks require https."))
    if "@" in parts.netloc:
        raise _bad_url(gettext("A URL can't contain credentials. Verify the signature of webhooks instead."))
    if port == 0:
        raise _bad_url(gettext("Port 0 can't be used."))
    _refuse_literal(host, allows_loopback=allows_loopback)
    usual_port = HTTPS_PORT if parts.scheme == "https" else HTTP_PORT
    return Target(scheme=parts.scheme, host=host, port=port or usual_port, path=_path_of(parts))


def resolve(target: Target, *, allows_loopback: bool, within_s: float) -> list[str]:
    """Return the addresses of a target's host, all checked, in the resolver's order. Asks once.

    Raises Unresolved, RefusedAddress, or ResolvedTooLate.
    """
    addresses = [_parse(text) for text in _look_up(target, within_s=within_s)]
    if not addresses:
        raise Unresolved(host=target.host)
    for address in addresses:
        is_allowed_loopback = allows_loopback and address.is_loopback
        # Plain http is for this very machine only.
        is_reachable = target.is_secure and is_public(address)
        if not is_allowed_loopback and not is_reachable:
            raise RefusedAddress(host=target.host, address=address)
    return [str(address) for address in addresses]


def is_public(address: Address) -> bool:
    """Return whether an address is one of the internet: not private, shared, link-local or reserved."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    same_version = [network for network in REFUSED_NETWORKS if network.version == address.version]
    return not any(address in network for network in same_version)


def _bad_url(why: str) -> BadUrl:
    return BadUrl(why=why, example=EXAMPLE, field="url")


def _path_of(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _refuse_literal(host: str, *, allows_loopback: bool) -> None:
    """Refuse at once what shows without a name server; the rest shows when something is sent."""
    if host == "localhost" or host.endswith(".localhost"):
        if not allows_loopback:
            raise RefusedAddress(host=host, address="this machine itself", field="url")
        return
    try:
        address = _parse(host)
    except ValueError:
        return  # a name
    is_allowed_loopback = allows_loopback and address.is_loopback
    if not is_allowed_loopback and not is_public(address):
        raise RefusedAddress(host=host, address=address, field="url")


def _parse(text: str) -> Address:
    # A link-local address may come with its zone, fe80::1%eth0.
    return ipaddress.ip_address(text.partition("%")[0])


def _look_up(target: Target, *, within_s: float) -> Iterable[str]:
    """Return the host's addresses, each once.

    In a thread of its own, because the system's resolver has no time limit that one could set; one that hangs
    ends by itself after the resolver's own attempts, half a minute as a rule.
    """
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:  # a label of more than 63 letters is a UnicodeError
            found.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        rows = found.result(timeout=within_s)
    except TimeoutError:
        raise ResolvedTooLate from None
    except (OSError, UnicodeError):
        raise Unresolved(host=target.host) from None
    return dict.fromkeys(str(row[4][0]) for row in rows)
