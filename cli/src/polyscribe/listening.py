"""Events passed on to an address of this machine: for who writes a receiver and has no public address.

They are signed as deliveries are (https://www.standardwebhooks.com), with a secret that both sides know.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes

import httpx

from polyscribe.errors import BadAddress
from polyscribe.objects import Object
from polyscribe.resources.webhooks import Webhooks
from polyscribe.transport import USER_AGENT, describe

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
POLL_S = 2.0
# An event is dated before its transaction ends, so it may turn up behind a younger one.
OVERLAP = timedelta(seconds=60)
TIMEOUT_S = 10.0  # as deliveries have


@dataclass(frozen=True)
class Forwarded:
    """An event, and what the receiver said: a status, or why it said nothing."""

    event: Object
    status: int | None
    failure: str


class EventForwarder:
    """Passes on what happens from now on, each event once, oldest first.

    Where it stands is told by the events' own times: this machine's clock may differ from the service's.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        *,
        url: str,
        secret: str,
        event_types: Collection[str] = (),
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises BadAddress, ApiError or Unreachable: it looks at what has happened before."""
        if not url.startswith(("http://", "https://")):
            raise BadAddress(f"{url} is not a valid target URL. Use the form http://localhost:9000/hook.")
        self._webhooks = webhooks
        self._url = url
        self._secret = secret
        self._event_types = event_types
        self._http = httpx.Client(timeout=TIMEOUT_S, transport=http_transport, trust_env=False)
        newest = next(webhooks.events(), None)
        self._since = _time_before(newest) if newest else None
        self._seen = {event["id"] for event in self._list_events()} if newest else set()

    def forward_new(self) -> Iterator[Forwarded]:
        """Pass on what has happened since the last call. Raises ApiError or Unreachable."""
        events = self._list_events()
        seen = self._seen
        # What is older is not listed again, so it need not be remembered.
        self._seen = {event["id"] for event in events}
        if events:
            self._since = _time_before(events[0])
        for event in reversed(events):
            is_wanted = not self._event_types or event["type"] in self._event_types
            if is_wanted and event["id"] not in seen:
                yield self._forward(event)

    def _list_events(self) -> list[Object]:
        """Return the events since shortly before the newest one that is known, newest first."""
        return list(self._webhooks.events(since=self._since))

    def _forward(self, event: Object) -> Forwarded:
        payload = {name: event[name] for name in ("type", "timestamp", "id", "data")}
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        headers = sign_event(self._secret, event_id=event["id"], at_s=int(time.time()), body=body)
        headers |= {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        try:
            answer = self._http.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            return Forwarded(event, None, describe(error))
        return Forwarded(event, answer.status_code, "")


def new_secret() -> str:
    """Return a random secret."""
    return SECRET_PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def sign_event(secret: str, *, event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver verifies an event. Raises ValueError for a bad secret."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{event_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }


def _time_before(event: Object) -> str:
    """Return a moment before an event, within which another one may still turn up."""
    at = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))  # Python 3.10 reads no Z
    return (at - OVERLAP).isoformat()
