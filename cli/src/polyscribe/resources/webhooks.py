"""Webhook endpoints: addresses of the workspace's own that get its events. And the events themselves."""

from collections.abc import Iterator, Sequence

from polyscribe.objects import Object
from polyscribe.transport import MANAGEMENT, Transport

WEBHOOKS = f"{MANAGEMENT}/webhooks"
EVENTS = f"{MANAGEMENT}/events"


class Webhooks:
    """The workspace's endpoints and events."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Object]:
        """Yield the endpoints, newest first."""
        return self._transport.pages(WEBHOOKS)

    def create(self, url: str, *, event_types: Sequence[str] = (), description: str = "") -> Object:
        """Return a new endpoint; its `secret` is shown only once. No types: it gets every one."""
        body = {"url": url, "event_types": [*event_types], "description": description}
        return self._transport.call("POST", WEBHOOKS, body=body)

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint with what was sent to it."""
        self._transport.call("DELETE", f"{WEBHOOKS}/{endpoint_id}")

    def test(self, endpoint_id: str) -> Object:
        """Send a test event to an endpoint; return the delivery, which is under way."""
        return self._transport.call("POST", f"{WEBHOOKS}/{endpoint_id}/test")

    def delivery(self, endpoint_id: str, delivery_id: str) -> Object:
        """Return a delivery, with its status and the beginning of what was answered."""
        address = f"{WEBHOOKS}/{endpoint_id}/deliveries/{delivery_id}"
        return self._transport.call("GET", address)

    def events(self, *, since: str | None = None) -> Iterator[Object]:
        """Yield the events of the last 30 days, or since a moment, newest first."""
        return self._transport.pages(EVENTS, {"since": since})
