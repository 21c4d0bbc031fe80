"""Webhook endpoints: addresses of the workspace's own that get its events. And the events themselves."""

from collections.abc import Iterator, Sequence
from typing import Any

from polyscribe.transport import MANAGEMENT, Transport

WEBHOOKS = f"{MANAGEMENT}/webhooks"
EVENTS = f"{MANAGEMENT}/events"


class Webhooks:
    """The workspace's endpoints and events."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield the endpoints, newest first."""
        return self._transport.pages(WEBHOOKS)

    def create(self, url: str, *, event_types: Sequence[str] = (), description: str = "") -> dict[str, Any]:
        """Return a new endpoint; its `secret` is shown only once. No types: it gets every one."""
        body = {"url": url, "event_types": [*event_types], "description": description}
        endpoint: dict[str, Any] = self._transport.call("POST", WEBHOOKS, body=body)
        return endpoint

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint with what was sent to it."""
        self._transport.call("DELETE", f"{WEBHOOKS}/{endpoint_id}")

    def test(self, endpoint_id: str) -> dict[str, Any]:
        """Send a test event to an endpoint; return the delivery, which is under way."""
        delivery: dict[str, Any] = self._transport.call("POST", f"{WEBHOOKS}/{endpoint_id}/test")
        return delivery

    def delivery(self, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
        """Return a delivery, with its status and the beginning of what was answered."""
        address = f"{WEBHOOKS}/{endpoint_id}/deliveries/{delivery_id}"
        delivery: dict[str, Any] = self._transport.call("GET", address)
        return delivery

    def events(self, *, since: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the events of the last 30 days, or since a moment, newest first."""
        return self._transport.pages(EVENTS, {"since": since})
