"""Who gets a mail about an event: a row each, in the transaction that records the event."""

from events.models import NoticeMail, OutboxEvent
from events.notices.catalog import NOTICES, Audience
from tenants.models import Membership
from tenants.models.people import MembershipQuerySet
from tenants.roles import Permission, allowed_roles


def queue_mails(event: OutboxEvent) -> None:
    """Write a mail for each member whom an event concerns and who has not switched its kind off."""
    notice = NOTICES.get(event.type)
    if notice is None or not notice.is_news(event):
        return
    recipients = _audience_of(event, notice.audience).getting(notice.kind)
    mails = [NoticeMail(event=event, membership=member, kind=notice.kind) for member in recipients]
    if mails:
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
