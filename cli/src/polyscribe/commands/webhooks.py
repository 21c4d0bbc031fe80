"""`webhooks`: addresses of your own that get the workspace's events.

`listen` passes events on to an address of this machine: for who writes a receiver without a public address.
They are signed as deliveries are (https://www.standardwebhooks.com), with a secret that both sides know.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_bytes
from typing import Annotated

import httpx
import typer

from polyscribe.client import Client
from polyscribe.commands import show
from polyscribe.commands.choices import read_local_address
from polyscribe.commands.factory import add_command
from polyscribe.commands.resources import ENDPOINTS, EndpointArgument, EventOption, find_endpoint
from polyscribe.commands.session import JsonFlag, open_client, session_of
from polyscribe.commands.show import clock, parse_time
from polyscribe.errors import BadAddress, Object
from polyscribe.transport import USER_AGENT, describe

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
POLL_S = 2.0
# An event is dated before its transaction ends, so it may turn up behind a younger one.
OVERLAP = timedelta(seconds=60)
TIMEOUT_S = 10.0  # as deliveries have
TEST_POLLS = 15  # a test waits behind what the endpoint did not take before
SECRET_VARIABLE = "POLYSCRIBE_WEBHOOK_SECRET"

app = typer.Typer(name="webhooks", help="Manage webhook endpoints.", no_args_is_help=True)


@dataclass(frozen=True)
class Forwarded:
    """An event, and what the receiver said: a status, or why it said nothing."""

    event: Object
    status: int | None
    failure: str


for _row in ENDPOINTS:
    add_command(app, _row)


@app.command("trigger")
def trigger_event(context: typer.Context, endpoint: EndpointArgument, as_json: JsonFlag = False) -> None:
    """Send a test event (webhook.test) to an endpoint and show the response."""
    session = session_of(context)
    with open_client(context) as client:
        path = f"/webhooks/{find_endpoint(client, {'endpoint': endpoint})['id']}"
        delivery = client.post(f"{path}/test")
        for _ in range(TEST_POLLS):
            if delivery["status"] != "pending" or delivery["attempts"]:
                break
            session.retries.sleep(POLL_S)
            delivery = client.get(f"{path}/deliveries/{delivery['id']}")
    if as_json:
        show.print_json(delivery)
    elif delivery["status"] == "delivered":
        show.print_line(f"The endpoint returned {delivery['status_code']} after {delivery['latency_ms']} ms.")
    elif delivery["attempts"]:
        show.print_note(f"Delivery failed: {delivery['failure']}")
    else:
        show.print_note(
            "It is waiting for an earlier event that couldn't be delivered. See the endpoint's deliveries."
        )
    if delivery["status"] != "delivered":
        raise typer.Exit(1)


@app.command("listen")
def listen(
    context: typer.Context,
    forward: Annotated[
        str, typer.Option(callback=read_local_address, help="Target URL, such as http://localhost:9000/hook.")
    ],
    event: EventOption = None,
    secret: Annotated[
        str,
        typer.Option(envvar=SECRET_VARIABLE, show_envvar=True, help="Signing secret. Default: a new one."),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Forward events to a local port until Ctrl-C, for development without a public URL.

    Events have the format and signature of deliveries. Failed events are not sent again.
    """
    session = session_of(context)
    signing_secret = secret or new_secret()
    require_secret(signing_secret)
    with open_client(context) as client:
        forwarder = EventForwarder(
            client,
            url=forward,
            secret=signing_secret,
            event_types=event or [],
            http_transport=session.receiver_transport,
        )
        show.print_note(f"Forwarding events to {forward}. Press Ctrl-C to stop.")
        if not secret:
            show.print_note(f"Signing secret for this run: {signing_secret}")
        while True:
            for forwarded in forwarder.forward_new():
                print_forwarded(forwarded, as_json=as_json)
            session.retries.sleep(POLL_S)


def require_secret(secret: str) -> None:
    """Raise typer.BadParameter for a text that can't sign anything."""
    try:
        sign_event(secret, event_id="", at_s=0, body=b"")
    except ValueError as error:
        raise typer.BadParameter("invalid secret: it must be whsec_ followed by base64.") from error


def print_forwarded(forwarded: Forwarded, *, as_json: bool) -> None:
    """Print what became of an event, on a line."""
    event = forwarded.event
    if as_json:
        line = {"event": event, "status": forwarded.status, "failure": forwarded.failure}
        return show.print_raw(json.dumps(line, ensure_ascii=False))
    outcome = forwarded.status or forwarded.failure
    show.print_line(f"{clock(event['timestamp'])}  {event['type']}  {event['id']} → {outcome}")


class EventForwarder:
    """Passes on what happens from now on, each event once, oldest first.

    Where it stands is told by the events' own times: this machine's clock may differ from the service's.
    """

    def __init__(
        self,
        client: Client,
        *,
        url: str,
        secret: str,
        event_types: Collection[str] = (),
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises BadAddress, ApiError or Unreachable: it looks at what has happened before."""
        if not url.startswith(("http://", "https://")):
            raise BadAddress(f"{url} is not a valid target URL. Use the form http://localhost:9000/hook.")
        self._client = client
        self._url = url
        self._secret = secret
        self._event_types = event_types
        self._http = httpx.Client(timeout=TIMEOUT_S, transport=http_transport, trust_env=False)
        newest = next(client.pages("/events"), None)
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
        return list(self._client.pages("/events", {"since": self._since}))

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
    return (parse_time(event["timestamp"]) - OVERLAP).isoformat()
