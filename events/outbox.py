"""Record events. Actions call `record_event` in their transaction; subscribers carry the events on.

How the API shows an object, and who subscribes, is known above this package: EVENT_PRESENTERS and
EVENT_SUBSCRIBERS name both. What they name is imported with the first event: the API brings REST framework,
which few workers need.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Model
from django.utils.module_loading import import_string
from django.utils.translation import override

from events.models import EventType, OutboxEvent


def record_event(tenant_id: UUID, event_type: EventType, subject: Model, **facts: object) -> OutboxEvent:
    """Record what happened to a row, as the row is now, and hand it to every subscriber; return the event.

    Call it at the end of the action, in its transaction. `facts` stand beside the object in the event.
    A subscriber writes rows in that transaction, no more. Faults of the program: KeyError for a model that
    nobody presents; TransactionManagementError.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(event_type)
    present = _found(settings.EVENT_PRESENTERS[subject._meta.label_lower])
    with override("en"):  # programs read it
        presented = dict(present(subject).data if isinstance(present, type) else present(subject))
    event = OutboxEvent.objects.create(tenant_id=tenant_id, type=event_type, object=presented, facts=facts)
    for subscriber in settings.EVENT_SUBSCRIBERS:
        _found(subscriber)(event)
    return event


def payload_of(event: OutboxEvent) -> dict[str, object]:
    """Return what an event says, as webhooks and the API have it. Messages in it become texts as JSON."""
    return {
        "type": event.type,
        "timestamp": event.created_at,
        "id": event.pk,
        "data": {"object": event.object, **event.facts},
    }


def _found(named: str | Callable[..., Any]) -> Callable[..., Any]:
    """Return what a dotted path names. Tests name functions of their own."""
    return import_string(named) if isinstance(named, str) else named
