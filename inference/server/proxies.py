"""The client's address behind proxies: `X-Forwarded-For` is believed only from a trusted proxy."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network

type Peer = tuple[str, int]


class Proxies:
    """The proxies that are believed, by their addresses and networks."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ip_network(network) for network in trusted]
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def read_client(self, peer: Peer, headers: Sequence[tuple[bytes, bytes]]) -> tuple[Peer, str]:
        """Return the address of a trusted proxy's client, and the scheme it used.

        Each proxy appends whom it got a request from, so the last address that is no proxy's is the client's.
        """
        scheme = "http"
        forwarded: list[str] = []
        for name, value in headers:
            if name == b"x-forwarded-for":
                forwarded += value.decode("latin-1").split(",")
            elif name == b"x-forwarded-proto" and value.lower() in (b"http", b"https"):
                scheme = value.decode().lower()
        client = peer[0]
        for address in reversed(forwarded):
            client = address.strip() or client
            if not self.trusts(client):
                break
        return (client, 0 if forwarded else peer[1]), scheme

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
