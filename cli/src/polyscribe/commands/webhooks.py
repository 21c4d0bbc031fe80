"""`webhooks`: addresses of your own that get the workspace's events.

`listen` passes events on to an address of this machine: for who writes a receiver without a public address.
They are signed as deliveries are (https://www.standardwebhooks.com), with a secret that both sides know.
"""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from secrets import token_bytes
from typing import Annotated

import httpx
from typer import BadParameter, Context, Exit, Option, Typer

from polyscribe.commands import show
from polyscribe.commands.factory import add_commands
from polyscribe.commands.resources import ENDPOINTS, EndpointArgument, EventOption, find_endpoint
from polyscribe.commands.session import JsonFlag, open_client, read_local_address, session_of
from polyscribe.commands.show import clock, parse_time
from polyscribe.errors import Object
from polyscribe.transport import USER_AGENT, describe

POLL_S = 2.0
# An event is dated before its transaction ends, so it may turn up behind a younger one.
OVERLAP = timedelta(seconds=60)
TIMEOUT_S = 10.0  # as deliveries have
TEST_POLLS = 15  # a test passes what waits, but other endpoints may have their turn

app = Typer(name="webhooks", help="Manage webhook endpoints.", no_args_is_help=True)
add_commands(app, *ENDPOINTS)


@app.command("trigger")
def trigger_event(context: Context, endpoint: EndpointArgument, as_json: JsonFlag = False) -> None:
    """Send a test event (webhook.test) to an endpoint and show the response."""
    with open_client(context) as client:
        path = f"/webhooks/{find_endpoint(client, {'endpoint': endpoint})['id']}"
        delivery = client.post(f"{path}/test")
        for _ in range(TEST_POLLS):
            if delivery["status"] != "pending" or delivery["attempts"]:
                break
            client.retries.sleep(POLL_S)
            delivery = client.get(f"{path}/deliveries/{delivery['id']}")
    if as_json:
        show.print_json(delivery)
    elif delivery["status"] == "delivered":
        show.print_line(f"The endpoint returned {delivery['status_code']} after {delivery['latency_ms']} ms.")
    elif delivery["attempts"]:
        show.print_note(f"Delivery failed: {delivery['failure']}")
    else:
        show.print_note("The test event hasn't been sent yet. See the endpoint's deliveries.")
    if delivery["status"] != "delivered":
        raise Exit(1)


@app.command("listen")
def listen(
    context: Context,
    forward: Annotated[
        str, Option(callback=read_local_address, help="Target URL, such as http://localhost:9000/hook.")
    ],
    event: EventOption = None,
    secret: Annotated[
        str,
        Option(
            envvar="POLYSCRIBE_WEBHOOK_SECRET", show_envvar=True, help="Signing secret. Default: a new one."
        ),
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Forward events to a local port until Ctrl-C, for development without a public URL.

    Events have the format and signature of deliveries. Failed events are not sent again.
    """
    signing_secret = secret or "whsec_" + base64.b64encode(token_bytes(32)).decode()
    try:
        key = base64.b64decode(signing_secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise BadParameter("invalid secret: it must be whsec_ followed by base64.") from error
    transport = session_of(context).http_transport
    receiver = httpx.Client(timeout=TIMEOUT_S, transport=transport, trust_env=False)
    with open_client(context) as client, receiver:
        newest = next(client.pages("/events"), None)
        since = _time_before(newest) if newest else None
        events = list(client.pages("/events", {"since": since})) if newest else []
        show.print_note(f"Forwarding events to {forward}. Press Ctrl-C to stop.")
        if not secret:
            show.print_note(f"Signing secret for this run: {signing_secret}")
        while True:
            # What is older is not listed again, so it need not be remembered. The events' own times tell
            # what is: this machine's clock may differ from the service's.
            seen = {one["id"] for one in events}
            since = _time_before(events[0]) if events else since
            client.retries.sleep(POLL_S)
            events = list(client.pages("/events", {"since": since}))
            for one in reversed(events):
                if one["id"] not in seen and (not event or one["type"] in event):
                    _forward(receiver, forward, key, one, as_json=as_json)


def _time_before(event: Object) -> str:
    """Return a moment before an event, within which another one may still turn up."""
    return (parse_time(event["timestamp"]) - OVERLAP).isoformat()


def _forward(receiver: httpx.Client, address: str, key: bytes, event: Object, *, as_json: bool) -> None:
    """Post an event as a delivery does, and print on a line what became of it."""
    payload = {name: event[name] for name in ("type", "timestamp", "id", "data")}
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    at_s = str(int(time.time()))
    signature = hmac.digest(key, f"{event['id']}.{at_s}.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": event["id"],
        "webhook-timestamp": at_s,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
    }
    status, failure = None, ""
    try:
        status = receiver.post(address, content=body, headers=headers).status_code
    except httpx.TransportError as error:
        failure = describe(error)
    if as_json:
        return show.print_json({"event": event, "status": status, "failure": failure}, indent=None)
    show.print_line(f"{clock(event['timestamp'])}  {event['type']}  {event['id']} → {status or failure}")
