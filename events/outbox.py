"""Record events. Actions call `record_event` in their transaction; subscribers carry the events on.

How the API shows an object, and who wants to hear of events, are matters of packages above this one. They are
registered in an app's `ready`.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from django.utils.module_loading import import_string
from django.utils.translation import override

from events.models import EventType, OutboxEvent

type Present = Callable[[Any], Mapping[str, object]] | str  # or the dotted path of one
type Subscribe = Callable[[OutboxEvent], None]

_presenters: dict[type[Model], Present] = {}
_subscribers: list[Subscribe] = []


class NoPresenter(LookupError):
    """No presenter is registered for a model whose event is recorded: a fault of the program."""


class NoTransaction(RuntimeError):
    """An event is recorded outside the transaction of what it tells: a fault of the program."""


def register_presenter(model: type[Model], present: Present) -> None:
    """Let events carry rows of a model as a function presents them: as the API does.

    One that is given by its dotted path is imported with the first event: a module of the API brings REST
    framework and more, which most workers never need.
    """
    _presenters[model] = present


def register_subscriber(subscribe: Subscribe) -> None:
    """Call a function with each event, in the transaction that records it.

    It may write rows, and say what is to be done after the commit; no more.
    """
    if subscribe not in _subscribers:
        _subscribers.append(subscribe)


def record_event(tenant_id: UUID, event_type: EventType, subject: Model, **facts: object) -> OutboxEvent:
    """Record what happened to a row, as the row is now, and hand it to every subscriber; return the event.

    Call it at the end of the action, in its transaction. `facts` stand beside the object in the event.
    Raises NoPresenter and NoTransaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise NoTransaction(event_type)
    with override("en"):  # programs read it
        thing = dict(present(subject))
    event = OutboxEvent.objects.create(tenant_id=tenant_id, type=event_type, object=thing, facts=facts)
    for subscribe in _subscribers:
        subscribe(event)
    return event


def present(subject: Model) -> Mapping[str, object]:
    """Return a row as the API shows it. Raises NoPresenter."""
    presenter = _presenters.get(type(subject))
    if presenter is None:
        raise NoPresenter(type(subject).__name__)
    if isinstance(presenter, str):
        presenter = import_string(presenter)
    return presenter(subject)


def payload_of(event: OutboxEvent) -> dict[str, object]:
    """Return what an event says, as webhooks and the API have it. Messages in it become texts as JSON."""
    return {
        "type": event.type,
        "timestamp": event.created_at,
        "id": event.pk,
        "data": {"object": event.object, **event.facts},
    }
