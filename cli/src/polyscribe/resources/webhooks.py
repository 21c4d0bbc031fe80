"""Webhook endpoints: addresses of the workspace's own that get its events."""

from collections.abc import Iterator
from typing import Any

from polyscribe.transport import MANAGEMENT, Transport

WEBHOOKS = f"{MANAGEMENT}/webhooks"


class Webhooks:
    """The workspace's endpoints."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield the endpoints, newest first."""
        return self._transport.pages(WEBHOOKS)
