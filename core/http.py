"""Requests by HTTP: the client's network, an id for each request, and what our server offers its app."""

import os
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Protocol

IPV6_HOST_BITS = 64


def network_of(address: str, *, ipv6_host_bits: int = IPV6_HOST_BITS) -> str:
    """Return the network that counts as one client: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # a Unix domain socket has no IP address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    prefix = int(parsed) >> ipv6_host_bits << ipv6_host_bits
    return str(IPv6Address(prefix))


# The ids of requests to both APIs: an answer and its lines in the log have one.


def new_request_id() -> str:
    """Return an id that is unique for ever: it names the hold, the usage event and the ledger entry."""
    return f"req_{os.urandom(16).hex()}"


# What the server of one request offers its app beside ASGI, without a task or a coroutine of its own.
#
# It tells that the client hung up, gives a body that has come, and writes answers and parts of them at once.

DISCONNECT = "polyscribe.disconnect"  # the name of this extension in an ASGI scope


class Disconnects(Protocol):
    """The extension's object: one request's."""

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once if the client hangs up before its answer is complete."""

    def unwatch_disconnect(self) -> None:
        """Remove all callbacks."""

    def take_body(self) -> bytes | None:
        """Return the whole body if it is here already and nobody took any of it; else None."""

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer at once; return False, and write nothing, where its client must read first."""

    def can_write(self) -> bool:
        """Return whether a part of a stream that has begun may be written now: not to a slow client."""

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once. Only where `can_write` said so in the same turn of the loop."""
