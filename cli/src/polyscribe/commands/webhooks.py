"""`webhooks`: addresses of your own that get the workspace's events."""

import json
from typing import Annotated

import typer

from polyscribe.client import Client
from polyscribe.commands import completion, show
from polyscribe.commands.choices import read_event_types, read_https, read_local_address
from polyscribe.commands.session import (
    JsonFlag,
    YesFlag,
    confirm,
    open_client,
    require_terminal,
    session_of,
)
from polyscribe.commands.wording import clock
from polyscribe.errors import NotFound
from polyscribe.listening import POLL_S, EventForwarder, Forwarded, new_secret, sign_event
from polyscribe.objects import Object

TEST_POLLS = 15  # a test waits behind what the endpoint did not take before
SECRET_VARIABLE = "POLYSCRIBE_WEBHOOK_SECRET"

app = typer.Typer(name="webhooks", help="Manage webhook endpoints.", no_args_is_help=True)

EndpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT", help="An endpoint's id or URL.", autocompletion=completion.complete_endpoint
    ),
]
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event", callback=read_event_types, help="Event type, such as version.serving; repeat for more."
    ),
]


@app.command("list")
def list_endpoints(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the endpoints, newest first."""
    with open_client(context) as client:
        endpoints = list(client.webhooks.list())
    if as_json:
        return show.print_json(endpoints)
    rows = [endpoint_row(endpoint) for endpoint in endpoints]
    show.print_table(("URL", "EVENTS", "STATE", "ID"), rows)


@app.command("create")
def create_endpoint(
    context: typer.Context,
    url: Annotated[str, typer.Argument(callback=read_https, help="A public https URL.")],
    event: EventOption = None,
    description: Annotated[str, typer.Option(help="Description.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Create an endpoint. Its signing secret is shown only once."""
    with open_client(context) as client:
        endpoint = client.webhooks.create(url, event_types=event or [], description=description)
    if as_json:
        return show.print_json(endpoint)
    show.print_line(endpoint["secret"])
    show.print_note(f"This is the secret of endpoint {endpoint['id']}. It won't be shown again.")


@app.command("delete")
def delete_endpoint(
    context: typer.Context, endpoint: EndpointArgument, yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Delete an endpoint and its deliveries."""
    require_terminal(yes)
    with open_client(context) as client:
        found = find_endpoint(client, endpoint)
        confirm(f"Delete the endpoint {found['url']} with its deliveries?", yes)
        client.webhooks.delete(found["id"])
    show.print_answer({"deleted": True}, "The endpoint was deleted.", as_json=as_json)


@app.command("trigger")
def trigger_event(context: typer.Context, endpoint: EndpointArgument, as_json: JsonFlag = False) -> None:
    """Send a test event (webhook.test) to an endpoint and show the response."""
    session = session_of(context)
    with open_client(context) as client:
        endpoint = find_endpoint(client, endpoint)["id"]
        delivery = client.webhooks.test(endpoint)
        for _ in range(TEST_POLLS):
            if delivery["status"] != "pending" or delivery["attempts"]:
                break
            session.retries.sleep(POLL_S)
            delivery = client.webhooks.delivery(endpoint, delivery["id"])
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
            client.webhooks,
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


def find_endpoint(client: Client, id_or_url: str) -> Object:
    """Return an endpoint by its id or its URL. Raises NotFound."""
    for endpoint in client.webhooks.list():
        if id_or_url in (endpoint["id"], endpoint["url"]):
            return endpoint
    sentence = f"No such endpoint: “{id_or_url}”. List them with polyscribe webhooks list."
    raise NotFound(sentence, status=404, code="not_found")


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


def endpoint_row(endpoint: Object) -> tuple[object, ...]:
    """Return an endpoint as a row of a table."""
    types = ", ".join(endpoint["event_types"]) or "all"
    state = "enabled" if endpoint["is_enabled"] else endpoint["disabled_reason"] or "disabled"
    return endpoint["url"], types, state, endpoint["id"]
