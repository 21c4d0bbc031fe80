"""The table of notices: which event goes to whom, under which kind; and the rows of the mails about one."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from events.models import EventType, NoticeKind, NoticeMail, OutboxEvent
from tenants.models import Membership
from tenants.models.people import MembershipQuerySet
from tenants.roles import Permission, allowed_roles

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


def queue_mails(event: OutboxEvent) -> None:
    """Write a mail for each member whom an event concerns and who has not switched its kind off."""
    notice = NOTICES.get(event.type)
    if notice is None or not notice.is_news(event):
        return
    recipients = _audience_of(event, notice.audience).getting(notice.kind)
    mails = [
        NoticeMail(tenant_id=event.tenant_id, event=event, membership=member, kind=notice.kind)
        for member in recipients
    ]
    # An event is recorded once, so nothing conflicts but a second registration of this function.
    NoticeMail.objects.bulk_create(mails, ignore_conflicts=True)


def _audience_of(event: OutboxEvent, audience: Audience) -> MembershipQuerySet:
    """Return the members whom an event concerns."""
    members = Membership.objects.filter(tenant=event.tenant_id)
    managers = members.filter(role__in=allowed_roles(Permission.EDIT_WORKSPACE))
    # Objects name the person who made them as the API does: by address.
    made_by = event.object.get("created_by")
    concerned = members.filter(user__email=made_by) if made_by else members.none()
    if audience is Audience.OWNERS:
        return members.filter(role=Membership.Role.OWNER)
    if audience is Audience.MANAGERS:
        return managers
    if audience is Audience.PAYERS:
        return members.filter(role__in=allowed_roles(Permission.MANAGE_BILLING))
    if audience is Audience.CONCERNED:
        return concerned if concerned.exists() else managers
    if audience is Audience.MANAGERS_AND_CONCERNED:
        return managers | concerned
    return members
