"""The table of notices: which event goes to whom, under which kind; and what a member switches off.

That is done on the page "Notices", or by the link in a mail, which needs no login.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse

from core.errors import NotFound
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


SALT = "events.notices.unsubscribe"  # never changed: mails that were sent have links with it


class BadLink(NotFound):
    """This link is incomplete or no longer valid. Log in and change your notification settings instead."""


def choose_kinds(membership: Membership, wanted: Collection[str]) -> None:
    """Let a member get these kinds, of those that can be switched off, and no others."""
    muted = [kind.value for kind in CHOOSABLE if kind not in wanted]
    Membership.objects.filter(pk=membership.pk).update(muted_notices=muted)
    membership.muted_notices = muted


def switch(membership: Membership, kind: NoticeKind, *, is_wanted: bool) -> None:
    """Switch one kind on or off for a member; doing it twice does nothing. The other kinds stay."""
    with transaction.atomic():
        held = Membership.objects.select_for_update(no_key=True).filter(pk=membership.pk).first()
        if held is None:
            return
        muted = set(held.muted_notices) - {kind.value}
        if not is_wanted:
            muted.add(kind.value)
        Membership.objects.filter(pk=membership.pk).update(muted_notices=sorted(muted))
    membership.muted_notices = sorted(muted)


def unsubscribe_url(membership: Membership, kind: NoticeKind) -> str:
    """Return an address that switches one kind off for one member: a POST to it does, without a login."""
    token = signing.dumps([membership.pk, kind.value], salt=SALT)
    return settings.SITE_URL + reverse("events:unsubscribe", args=[token])


def read_token(token: str) -> tuple[Membership, NoticeKind]:
    """Return whose link it is, and which kind it switches. Raises BadLink.

    It never ends: mails are kept for years, and it gives no right but this one.
    """
    try:
        membership_id, kind = signing.loads(token, salt=SALT)
        membership = Membership.objects.select_related("tenant", "user").get(pk=membership_id)
    except (signing.BadSignature, Membership.DoesNotExist):
        raise BadLink from None
    if kind not in CHOOSABLE:  # it could be switched off once
        raise BadLink
    return membership, NoticeKind(kind)
