"""Events as the product records them, a clock that the test moves, and a mail server that behaves as told."""

import smtplib
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail

from core.messages import Message
from events.models import EventType, NoticeMail, OutboxEvent
from events.notices.catalog import queue_mails
from tenants.models import Membership, Tenant
from tests.tenants.builders import Clock

STYLE = {"object": "style", "id": str(uuid4()), "model": "acme/brand-voice", "name": "Brand <b>voice</b>"}
VERSION = {"object": "version", "model": "acme/brand-voice@3", "number": 3, "created_by": "bob@example.org"}
KEY = {
    "object": "api_key",
    "id": str(uuid4()),
    "name": "lap<b>top",
    "hint": "sk-ps-ab…wxyz",
    "scopes": ["inference"],
    "created_by": "bob@example.org",
}
TRAINING = {
    "object": "training",
    "id": str(uuid4()),
    "name": "My <b>voice</b>",
    "model": None,
    "failure": "",
    "created_by": "bob@example.org",
}
INVOICE_ID = "0b9e6c1e-6f0e-4a34-8a41-6a3d7c1f2b55"
WORKSPACE = {"object": "workspace", "name": "Acme"}
RANK = {"name": "<64>", "base": "Base"}
FINDING = {
    "code": "base_mismatch",
    "sentence": Message("adapters.finding_sentence.base_mismatch", RANK),
    "fix": Message("adapters.finding_fix.base_mismatch", RANK),
}

# One event of each type that is told, as docs/api.md describes it.
EVENTS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    EventType.USAGE_THRESHOLD_REACHED: (
        WORKSPACE,
        {
            "period": "2026-11",
            "measure": "tokens",
            "percent": 80,
            "used_tokens": 812_345,
            "limit_tokens": 1_000_000,
        },
    ),
    EventType.VERSION_REJECTED: ({**VERSION, "findings": [FINDING], "findings_count": 1}, {}),
    EventType.VERSION_FAILED: ({**VERSION, "failure": "The engine ran out of memory."}, {}),
    EventType.TRAINING_SUCCEEDED: ({**TRAINING, "model": "acme/my-voice@1"}, {}),
    EventType.TRAINING_FAILED: (
        {**TRAINING, "failure": Message("training.training_failure.crashed", {"times": 5})},
        {},
    ),
    EventType.CANARY_ENDED: (
        STYLE,
        {"version": 3, "is_automatic": True, "reason": "12 of 200 requests failed."},
    ),
    EventType.STYLE_SHARED: (
        {"object": "share", "model": "charlies-prose/noir", "workspace": "acme", "workspace_name": "Acme"},
        {},
    ),
    EventType.STYLE_OFFER_DECIDED: (STYLE, {"decision": "declined", "reason": "It names a living person."}),
    EventType.STYLE_PRICE_ANNOUNCED: (
        {
            "object": "price_change",
            "model": "charlies-prose/noir",
            "state": "agreed",
            "prices_usd": {"input": "$0.60", "cached_input": "$0.15", "output": "$2.40"},
            "effective_from": "2026-12-15T00:00:00Z",
        },
        {},
    ),
    EventType.WEBHOOK_DISABLED: (
        {
            "object": "webhook_endpoint",
            "id": str(uuid4()),
            "url": "https://hooks.example.com/services/T0/secret-path",
            "description": "Chat",
        },
        {"reason": "Deliveries failed for three days."},
    ),
    EventType.INVOICE_FINALIZED: (
        {
            "object": "invoice",
            "id": INVOICE_ID,
            "number": "PS-000042",
            "period": "2026-10",
            "total_usd": "12.00",
            "total_nanousd": 12 * 10**9,
        },
        {},
    ),
    EventType.CREDIT_NOTE_ISSUED: (
        {
            "object": "credit_note",
            "id": INVOICE_ID,
            "number": "CN-000007",
            "invoice_number": "PS-000042",
            "amount_usd": "2.00",
            "amount_nanousd": 2 * 10**9,
            "settlement": "owed",
            "reason": "Half a day without an engine.",
        },
        {},
    ),
    EventType.PLAN_CHANGED: (
        WORKSPACE,
        {"plan": "writer", "previous_plan": "studio", "takes_effect_at": "2026-12-01T00:00:00Z"},
    ),
    EventType.PAYMENT_FAILED: (
        {
            "object": "payment",
            "id": INVOICE_ID,
            "purpose": "auto_top_up",
            "amount_usd": "25.00",
            "amount_nanousd": 25 * 10**9,
            "failure": "Your card has expired.",
        },
        {},
    ),
    EventType.KEY_CREATED: (KEY, {}),
    EventType.KEY_ROTATED: (KEY, {"replaces": str(uuid4()), "old_secret_until": "2026-11-26T10:00:00Z"}),
    EventType.KEY_REVOKED: (KEY, {}),
    EventType.WORKSPACE_SUSPENDED: (WORKSPACE, {}),
    EventType.WORKSPACE_RESUMED: (WORKSPACE, {}),
    EventType.WORKSPACE_DELETION_REQUESTED: (
        WORKSPACE,
        {"deletion_at": "2026-11-30T09:30:00Z", "asked_by": "alice@example.org"},
    ),
    EventType.WORKSPACE_DELETION_STOPPED: (WORKSPACE, {"stopped_by": "alice@example.org"}),
}


@pytest.fixture
def happen(acme: Tenant, bob) -> Callable[..., OutboxEvent]:
    """Records an event of Acme's and tells those whom it concerns; facts that matter are given by name."""

    def record(event_type: str = EventType.STYLE_OFFER_DECIDED, **changes: object) -> OutboxEvent:
        thing, facts = EVENTS[event_type]
        thing = {**thing, **{name: changes[name] for name in thing.keys() & changes.keys()}}
        facts = {**facts, **{name: changes[name] for name in changes.keys() - thing.keys()}}
        event = OutboxEvent.objects.create(tenant=acme, type=event_type, object=thing, facts=facts)
        queue_mails(event)
        return event

    return record


@pytest.fixture
def addressed() -> Callable[[OutboxEvent], set[str]]:
    """Tells to whom an event is mailed."""

    def of(event: OutboxEvent) -> set[str]:
        return set(event.mails.values_list("membership__user__email", flat=True))

    return of


@pytest.fixture
def alice_alone(alice, acme: Tenant) -> Membership:
    """Alice's place in Acme; what is told to all goes to her alone."""
    return Membership.objects.get(user=alice, tenant=acme)


@pytest.fixture
def clock(clock: Clock) -> Clock:
    """Is asked when a mail ended: each ends a millisecond after the one before."""
    clock.step = timedelta(milliseconds=1)
    return clock


class MailServer:
    """Takes mail as Django's test backend does, or raises what a test sets."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.dialogues = 0
        self.before_sending: Callable[[], None] = lambda: None

    def open(self) -> None:
        self.dialogues += 1

    def close(self) -> None:
        pass

    def send_messages(self, letters) -> int:
        self.before_sending()
        if self.failure is not None:
            raise self.failure
        mail.outbox.extend(letters)
        return len(letters)


@pytest.fixture
def mail_server(monkeypatch) -> MailServer:
    made = MailServer()

    class Mailers:
        default = made

    monkeypatch.setattr("events.notices.sending.mailers", Mailers)
    return made


def refused(code: int) -> smtplib.SMTPRecipientsRefused:
    return smtplib.SMTPRecipientsRefused({"alice@example.org": (code, b"no")})


def statuses() -> list[str]:
    return list(NoticeMail.objects.order_by("pk").values_list("status", flat=True))
