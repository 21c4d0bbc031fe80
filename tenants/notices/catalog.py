"""The table of notices: which event goes to whom, under which kind."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from tenants.models import EventType, NoticeKind, OutboxEvent

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
    """How people are notified of one type of event."""

    kind: NoticeKind
    audience: Audience
    template: str  # in templates/tenants/mail/
    is_news: Callable[[OutboxEvent], bool] = lambda event: True


def _ended_by_itself(event: OutboxEvent) -> bool:
    return bool(event.facts.get("is_automatic"))


def _costs_something(event: OutboxEvent) -> bool:
    return bool(event.object["total_nanousd"])


NOTICES: dict[str, Notice] = {
    EventType.USAGE_THRESHOLD_REACHED: Notice(NoticeKind.USAGE, Audience.PAYERS, "usage_threshold_reached"),
    EventType.VERSION_REJECTED: Notice(NoticeKind.UPLOADS, Audience.CONCERNED, "version_rejected"),
    EventType.VERSION_FAILED: Notice(NoticeKind.UPLOADS, Audience.CONCERNED, "version_failed"),
    # A person who ends a canary knows that it ended.
    EventType.CANARY_ENDED: Notice(NoticeKind.CANARIES, Audience.MEMBERS, "canary_ended", _ended_by_itself),
    EventType.STYLE_SHARED: Notice(NoticeKind.SHARES, Audience.MEMBERS, "style_shared"),
    EventType.STYLE_OFFER_DECIDED: Notice(NoticeKind.OFFERS, Audience.MEMBERS, "style_offer_decided"),
    EventType.STYLE_PRICE_ANNOUNCED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS, "style_price_announced"),
    EventType.WEBHOOK_DISABLED: Notice(NoticeKind.WEBHOOKS, Audience.MANAGERS, "webhook_disabled"),
    EventType.INVOICE_FINALIZED: Notice(
        NoticeKind.INVOICES, Audience.PAYERS, "invoice_finalized", _costs_something
    ),
    EventType.CREDIT_NOTE_ISSUED: Notice(NoticeKind.INVOICES, Audience.PAYERS, "credit_note_issued"),
    EventType.PLAN_CHANGED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS, "plan_changed"),
    EventType.PAYMENT_FAILED: Notice(NoticeKind.PAYMENTS, Audience.PAYERS, "payment_failed"),
    EventType.KEY_CREATED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED, "key_created"),
    EventType.KEY_ROTATED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED, "key_rotated"),
    EventType.KEY_REVOKED: Notice(NoticeKind.KEYS, Audience.MANAGERS_AND_CONCERNED, "key_revoked"),
    EventType.WORKSPACE_SUSPENDED: Notice(NoticeKind.WORKSPACE, Audience.MEMBERS, "workspace_suspended"),
    EventType.WORKSPACE_RESUMED: Notice(NoticeKind.WORKSPACE, Audience.MEMBERS, "workspace_resumed"),
    EventType.WORKSPACE_DELETION_REQUESTED: Notice(
        NoticeKind.WORKSPACE, Audience.OWNERS, "workspace_deletion_requested"
    ),
    EventType.WORKSPACE_DELETION_STOPPED: Notice(
        NoticeKind.WORKSPACE, Audience.OWNERS, "workspace_deletion_stopped"
    ),
}
