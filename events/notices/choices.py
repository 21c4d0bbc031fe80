"""What a member switches off: on the page "Notices", or by the link in a mail, which needs no login."""

from collections.abc import Collection

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse

from core.errors import NotFound
from events.models import NoticeKind
from events.notices.catalog import CHOOSABLE
from tenants.models import Membership

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
