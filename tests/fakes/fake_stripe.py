"""A fake Stripe: the parts of its API that the product uses, on loopback, with its idempotency keys.

It can decline cards, lose its answers after it did what was asked, and be away. Amounts and states can be
looked at; `pay` does what a person does on Stripe's page, `event` makes what Stripe sends then.
"""

import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

type Thing = dict[str, Any]

DECLINE = "Your card has expired."
CARD = "pm_card"
DETACHED = "The payment method must be attached to the customer."


class FakeStripe:
    """What the server holds, and how it behaves."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        # Idempotency key → what was asked, status, answer.
        self.kept: dict[str, tuple[str, int, Thing]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.declines = False
        self.lost_answers = 0  # of so many requests the answer is lost after they had their effect
        self.is_away = False
        self.url = ""
        self.things[CARD] = {"id": CARD, "object": "payment_method", "customer": None}
        self._lock = Lock()

    def made(self, kind: str) -> list[Thing]:
        """Return the objects of a kind, in the order in which they were made."""
        return [thing for thing in self.things.values() if thing["object"] == kind]

    def pay(self, session_id: str) -> Thing:
        """Pay a checkout session as a person does; return the session."""
        session = self.things[session_id]
        intent = self._new_intent(
            amount=session["amount_total"], customer=session["customer"], metadata=session["metadata"]
        )
        intent |= {"status": "succeeded", "payment_method": CARD}
        self.things[CARD]["customer"] = session["customer"]
        session |= {"payment_status": "paid", "status": "complete", "payment_intent": intent["id"]}
        return session

    def pay_later(self, session_id: str) -> Thing:
        """Complete a session by a way that pays days later, such as a direct debit; return its intent."""
        session = self.things[session_id]
        intent = self._new_intent(
            amount=session["amount_total"], customer=session["customer"], metadata=session["metadata"]
        )
        intent["status"] = "processing"
        session |= {"status": "complete", "payment_intent": intent["id"]}
        return intent

    def detach(self, method_id: str = CARD) -> None:
        """Take a card from its customer, as a person does in the portal."""
        self.things[method_id]["customer"] = None

    def delete_customer(self, customer_id: str) -> None:
        """Delete a customer, as an operator does in the dashboard; what is left says only that."""
        self.things[customer_id] = {"id": customer_id, "object": "customer", "deleted": True}

    def expire(self, session_id: str) -> Thing:
        """Let a session be too old."""
        self.things[session_id]["status"] = "expired"
        return self.things[session_id]

    def event(self, event_type: str, thing: Thing, event_id: str = "") -> bytes:
        """Return an event about an object as it is at this moment."""
        event = {
            "id": event_id or f"evt_{uuid4().hex}",
            "object": "event",
            "type": event_type,
            "data": {"object": thing},
        }
        return json.dumps(event).encode()

    def answer(self, method: str, path: str, form: dict[str, str], key: str) -> tuple[int, Thing]:
        """Return status and body. A request under a known key gets the first one's answer."""
        with self._lock:
            self.requests.append((method, path, form))
            asked = f"{method} {path} {sorted(form.items())}"
            if key and key in self.kept:
                first, status, body = self.kept[key]
                return (status, body) if first == asked else (400, _error("idempotency_error", "Another."))
            status, body = self._act(method, path.removeprefix("/v1/"), form)
            if key:
                self.kept[key] = (asked, status, json.loads(json.dumps(body)))
            return status, body

    def _act(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Thing]:
        parts = path.split("/")
        if method == "GET" or parts[-1] in ("expire", "cancel"):
            thing = self.things.get(parts[-1] if method == "GET" else parts[-2])
            if thing is None:
                return 404, _error("invalid_request_error", "No such object.", code="resource_missing")
            if parts[-1] == "expire":
                thing["status"] = "expired"
            if parts[-1] == "cancel":
                thing["status"] = "canceled"
            return 200, self._expanded(thing, form)
        if path == "payment_intents":
            return self._charge(form)
        return 200, self._make(path, form)

    def _make(self, path: str, form: dict[str, str]) -> Thing:
        if path == "customers":
            return self._keep(
                "customer",
                "cus",
                {"invoice_settings": {"default_payment_method": None}, "name": form.get("name")},
            )
        if path == "checkout/sessions":
            return self._new_session(form)
        if path == "billing_portal/sessions":
            return self._keep("billing_portal.session", "bps", {"url": "https://billing.example.com/p"})
        raise LookupError(f"the fake does not speak {path}")

    def _new_session(self, form: dict[str, str]) -> Thing:
        facts = {
            "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
            "currency": form["line_items[0][price_data][currency]"],
            "customer": form["customer"],
            "metadata": {"payment": form["metadata[payment]"]},
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
        }
        session = self._keep("checkout.session", "cs_test", facts)
        session["url"] = f"https://checkout.example.com/{session['id']}"
        return session

    def _charge(self, form: dict[str, str]) -> tuple[int, Thing]:
        method = self.things.get(form["payment_method"])
        if method is None or method["customer"] != form["customer"]:
            return 400, _error("invalid_request_error", DETACHED, param="payment_method")
        intent = self._new_intent(
            amount=int(form["amount"]),
            customer=form["customer"],
            metadata={"payment": form["metadata[payment]"]},
        )
        if self.declines:
            intent["status"] = "requires_payment_method"
            error = _error("card_error", DECLINE, code="expired_card", payment_intent=dict(intent))
            return 402, error
        intent |= {"status": "succeeded", "payment_method": form["payment_method"]}
        return 200, intent

    def _new_intent(self, *, amount: int, customer: str, metadata: dict[str, str]) -> Thing:
        facts = {
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "metadata": metadata,
            "last_payment_error": None,
            "payment_method": None,
        }
        return self._keep("payment_intent", "pi", facts)

    def _keep(self, kind: str, prefix: str, facts: Thing) -> Thing:
        thing = {"id": f"{prefix}_{uuid4().hex}", "object": kind, **facts}
        self.things[thing["id"]] = thing
        return thing

    def _expanded(self, thing: Thing, form: dict[str, str]) -> Thing:
        intent = thing.get("payment_intent")
        if intent and "payment_intent" in form.values():
            return {**thing, "payment_intent": self.things[intent]}
        return thing


def sign(payload: bytes, secret: str, at: float | None = None) -> str:
    """Return the `Stripe-Signature` of a payload."""
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + payload, sha256).hexdigest()
    return f"t={moment},v1={digest}"


@contextmanager
def running() -> Iterator[FakeStripe]:
    """Run a fake Stripe on loopback."""
    fake = FakeStripe()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(urlsplit(self.path).query)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._serve(self.rfile.read(length).decode())

        def _serve(self, encoded: str) -> None:
            if fake.is_away:
                self.close_connection = True
                return
            path = urlsplit(self.path).path
            key = self.headers.get("Idempotency-Key", "")
            status, body = fake.answer(self.command, path, dict(parse_qsl(encoded)), key)
            if fake.lost_answers and self.command == "POST":
                fake.lost_answers -= 1
                self.close_connection = True
                return
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: tests look at `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(kind: str, message: str, **facts: Any) -> Thing:
    return {"error": {"type": kind, "message": message, **facts}}
