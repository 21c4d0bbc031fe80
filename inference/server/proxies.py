"""The client's address behind proxies: `X-Forwarded-For` is believed only from a trusted proxy."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

type Peer = tuple[str, int]
type App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Proxies:
    """The proxies that are believed, by their addresses and networks."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ip_network(network) for network in trusted]
        self.trusts = lru_cache(maxsize=1024)(self._trusts)

    def read_client(
        self, peer: Peer, headers: Sequence[tuple[bytes, bytes]], *, scheme: str = "http"
    ) -> tuple[Peer, str]:
        """Return the address of a trusted proxy's client, and the scheme it used.

        Each proxy appends whom it got a request from, so the last address that is no proxy's is the client's.
        """
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


def behind_trusted_proxies(app: App, trusted: Iterable[str]) -> App:
    """Return an ASGI app whose scope has the client's address as `client`, whatever server it runs in.

    Every limit by address (sign-up, login, the API) reads it.
    """
    proxies = Proxies(trusted)

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        peer = scope.get("client")
        if scope["type"] == "http" and peer and proxies.trusts(peer[0]):
            was = scope.get("scheme", "http")
            client, scheme = proxies.read_client(peer, scope["headers"], scheme=was)
            scope = {**scope, "client": client, "scheme": scheme}
        await app(scope, receive, send)

    return answer
