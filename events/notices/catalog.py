"""The table of notices: which event goes to whom, under which kind."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from events.models import EventType, NoticeKind, OutboxEvent

# Nobody can switch these off, not even for themselves: an intruder in a session, an account or a key
# would do that first. A person who leaves the workspace gets no more of them.
ALWAYS_SENT = frozenset({NoticeKind.KEYS, NoticeKind.WORKSPACE})
CHOOSABLE = tuple(kind for kind in NoticeKind if kind not in ALWAYS_SENT)


class Audience(Enum):
    """Who hears of an event. The member concerned is the one who made what it tells of."""

    OWNERS = auto()
    MANAGERS = auto()  # owners and admins
    PAYERS = auto()  # all who may pay: billing managers, too
    MEMBERS = auto()
    CONCERNED = auto()  # managers, where that person has left or a program made it
    MANAGERS_AND_CONCERNED = auto()


@dataclass(frozen=True)
class Notice:
    """How people are notified of one type of event. A template in templates/events/mail/ has its name."""

    kind: NoticeKind
    audience: Audience
    is_news: Callable[[OutboxEvent], bool] = lambda event: True


def _ended_by_itself(event: OutboxEvent) -> bool:
    return bool(event.facts.get("is_automatic"))


def _costs_something(event: OutboxEvent) -> bool:
    return bool(event.object["total_nanousd"])


NOTICES: dict[str, Notice] = {
    EventType.USAGE_THRESHOLD_REACHED: Notice(NoticeKind.USAGE, Audience.PAYERS),
    EventType.VERSION_REJECTED: Notice(NoticeKind.UPLOADS, Audience.CONCERNED),
    EventType.VERSION_FAILED: Notice(NoticeKind.UPLOADS, Audience.CONCERNED),
    EventType.TRAINING_SUCCEEDED: Notice(NoticeKind.TRAININGS, Audience.CONCERNED),
    EventType.TRAINING_FAILED: Notice(NoticeKind.TRAININGS, Audience.CONCERNED),
    # A person who ends a canary knows that it ended.
    EventType.CANARY_ENDED: Notice(NoticeKind.CANARIES, Audience.MEMBERS, _ended_by_itself),
    EventType.STYLE_SHARED: Notice(NoticeKind.SHARES, Audience.MEMBERS),
    EventType.STYLE_OFFER_DECIDED: Notice(NoticeKind.OFFERS, Audience.MEMBERS),
    EventType.STYLE_PRICE_ANNOUNCED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS),
    EventType.WEBHOOK_DISABLED: Notice(NoticeKind.WEBHOOKS, Audience.MANAGERS),
    EventType.INVOICE_FINALIZED: Notice(NoticeKind.INVOICES, Audience.PAYERS, _costs_something),
    EventType.CREDIT_NOTE_ISSUED: Notice(NoticeKind.INVOICES, Audience.PAYERS),
    EventType.PLAN_CHANGED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS),
    EventType.PAYMENT_FAILED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS),
    EventType.KEY_CREATED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED),
    EventType.KEY_ROTATED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED),
    EventType.KEY_REVOKED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED),
    EventType.WORKSPACE_SUSPENDED: Notice(NoticeKind.WORKSPACE, Audience.MEMBERS),
    EventType.WORKSPACE_RESUMED: Notice(NoticeKind.WORKSPACE, Audience.MEMBERS),
    EventType.WORKSPACE_DELETION_REQUESTED: Notice(NoticeKind.WORKSPACE, Audience.OWNERS),
    EventType.WORKSPACE_DELETION_STOPPED: Notice(NoticeKind.WORKSPACE, Audience.OWNERS),
}
