"""API keys, and what was used."""

from collections.abc import Iterator, Mapping, Sequence

from polyscribe.objects import Object
from polyscribe.transport import MANAGEMENT, Transport

KEYS = f"{MANAGEMENT}/keys"
USAGE = f"{MANAGEMENT}/usage"
REQUESTS = f"{MANAGEMENT}/requests"
NEVER = "never"


class Keys:
    """The workspace's API keys."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Object]:
        """Yield the keys, newest first, revoked ones too."""
        return self._transport.pages(KEYS)

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("inference",),
        limits: Mapping[str, int] | None = None,
        expires_at: str | None = None,
    ) -> Object:
        """Return a new key; its `secret` is shown only once.

        `expires_at` may be `never`; without it, the key ends when the workspace lets new keys end.
        """
        body: Object = {"name": name, "scopes": [*scopes]}
        if limits:
            body["limits"] = dict(limits)
        if expires_at:
            body["expires_at"] = None if expires_at == NEVER else expires_at
        return self._transport.call("POST", KEYS, body=body)

    def rotate(self, key_id: str, *, old_secret_hours: int = 24) -> Object:
        """Return the key's successor; its `secret` is shown only once. The old one ends after some hours."""
        body = {"old_secret_hours": old_secret_hours}
        return self._transport.call("POST", f"{KEYS}/{key_id}/rotate", body=body)

    def revoke(self, key_id: str) -> Object:
        """End a key from the next request on, for good; return it."""
        return self._transport.call("DELETE", f"{KEYS}/{key_id}")


class Usage:
    """What the workspace used."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def sum(
        self,
        group_by: Sequence[str] = ("day",),
        *,
        start: str | None = None,
        end: str | None = None,
        style: str | None = None,
    ) -> Object:
        """Return sums by `day`, `style`, `key` or `version`: `data`, and their `total`. Days are UTC's."""
        query = {"group_by": ",".join(group_by), "start": start, "end": end, "style": style}
        return self._transport.call("GET", USAGE, query=query)

    def events(self, *, style: str | None = None) -> Iterator[Object]:
        """Yield the requests, newest first: what each used, never what was written."""
        return self._transport.pages(f"{USAGE}/events", {"style": style})

    def requests(
        self,
        *,
        outcome: str | None = None,
        style: str | None = None,
        start: str | None = None,
        end: str | None = None,
    ) -> Iterator[Object]:
        """Yield the log of requests, newest first: refused ones, too, each with its `reason`.

        `outcome` is `complete`, `broken` or `refused`.
        """
        query = {"outcome": outcome, "style": style, "start": start, "end": end}
        return self._transport.pages(REQUESTS, query)
