"""Sharing: a style is its owner's alone until it is offered to everybody or shared with a named workspace.

Workspaces that rely on a style keep it for the length of a notice when it is taken back. Only operators end
it at once.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from adapters.catalog.price_changes import end_open, set_price
from adapters.catalog.terms import Terms, asked_terms, require_bounds
from adapters.errors import (
    AlreadyShared,
    NoSuchWorkspace,
    NotOffered,
    NotSuspended,
    OwnWorkspace,
    SharingMoved,
    ShortNameNeeded,
    SuspendedAlready,
    WithoutTerms,
)
from adapters.models import AdapterVersion, Placement, Selection, Share, Status, Style
from adapters.releases import review
from adapters.routing import publisher
from events.models import EventType
from events.outbox import record_event
from tenants.access import Access
from tenants.models import Tenant

# Suspension: a style answers nobody, its owner neither, and is taken off the engines; its files are kept.
#
# For what must stop at once and may be looked at later. Lifting it brings all back as it was.


def suspend_style(style: Style, *, reason: str) -> None:
    """Let no name lead to a style from the next request on; its owner reads the reason.

    Requests that run end as they would have. Raises SuspendedAlready.
    """
    with transaction.atomic():
        # Placements first, in the order of `mark_loaded`: so the two never wait for each other.
        Placement.objects.filter(version__style=style).update(is_desired=False)
        serving = Style.objects.filter(pk=style.pk, suspended_at=None)
        if not serving.update(suspended_at=timezone.now(), suspended_reason=reason[:300]):
            raise SuspendedAlready
        publisher.mark_changed(style)


def lift_suspension(style: Style) -> None:
    """Let a style answer again; the next plan places it, else a request does. Raises NotSuspended."""
    with transaction.atomic():
        suspended = Style.objects.filter(pk=style.pk).exclude(suspended_at=None)
        if not suspended.update(suspended_at=None, suspended_reason=""):
            raise NotSuspended
        publisher.mark_changed(style)


NOTICE = timedelta(days=7)


@transaction.atomic
def offer_style(access: Access, style: Style, asked: Terms | None = None) -> None:
    """Offer a style to the public catalogue; operators approve it. Offering it twice does nothing.

    `asked` are prices and a share; None leaves what was asked for before. Other ones than an operator has
    looked at can't be approved unseen. Raises WithoutTerms unless the style names its author and its licence,
    CopiedStyle, VersionNotShareable, TermsOutOfBounds, SharePercent, and SharingMoved when it is public.
    """
    if not style.author or not style.licence:
        raise WithoutTerms
    review.require_no_copy(style)
    review.require_shareable(style.live_version)
    before = asked_terms(style)
    changes: dict[str, Any] = {}
    audited: dict[str, Any] = {}
    if asked is not None and asked != before:
        require_bounds(asked)
        changes = {**asked.asked_columns, "changed_at": Now()}
        audited = {"before": before.asked_columns, "after": asked.asked_columns}
    hidden = Style.objects.filter(pk=style.pk, is_public=False)
    if not hidden.update(offered_at=Coalesce("offered_at", Now()), declined_reason="", **changes):
        raise SharingMoved
    style.refresh_from_db()
    access.audit("style.offered", style, **audited)


@transaction.atomic
def withdraw_offer(access: Access, style: Style) -> None:
    """Withdraw an offer that operators have not answered yet. Raises SharingMoved when they have."""
    if not Style.objects.offered().filter(pk=style.pk).update(offered_at=None):
        raise SharingMoved
    access.audit("style.offer_withdrawn", style)


def approve_style(style: Style, seen_at: datetime | None = None) -> None:
    """Put an offered style into the catalogue, or let others have what changed of a public one.

    Prices and share that its owner asked for count in two minutes. Raises NotOffered,
    VersionNotShareable, and ChangedMeanwhile if its owner has changed it since it was looked at.
    """
    with transaction.atomic():
        held = Style.objects.lock(style.pk)
        review.require_unchanged(held, seen_at)
        review.require_shareable(held.live_version)
        facts: dict[str, Any] = {}
        if Style.objects.offered().filter(pk=style.pk).exists():
            set_public(held)
            asked = asked_terms(held)
            if asked != Terms():
                facts["prices_from"] = set_price(held.pk, asked).isoformat()
        elif held.is_reviewed and not held.retired_at:
            review.approve_version(held)
            Style.objects.filter(pk=style.pk).update(declined_at=None, declined_reason="")
            publisher.mark_changed(held)
        else:
            raise NotOffered
        _record_decision(held, "approved", **facts)


def approve_version(version: AdapterVersion) -> None:
    """Let others name a version of a public style by its number, and have it once it is live.

    Raises NotOffered, VersionNotShareable.
    """
    review.require_shareable(version)
    with transaction.atomic():
        held = Style.objects.lock(version.style_id)
        serving = held.versions.filter(pk=version.pk, status=Status.SERVING, approved_at=None)
        if not held.is_reviewed or not serving.update(approved_at=Now()):
            raise NotOffered
        review.apply_approval(held)
        publisher.mark_changed(held)
        _record_decision(held, "approved", version=version.number)


def decline_offer(style: Style, reason: str) -> None:
    """Answer an offer, or a change of a public style, with the reason why not, which its owner reads.

    Others keep of a public style what they have. Raises NotOffered.
    """
    reason = reason[:300]
    with transaction.atomic():
        offered = Style.objects.offered().filter(pk=style.pk)
        # By a subquery: an UPDATE can't follow the joins of `changed`.
        changed = Style.objects.filter(pk__in=Style.objects.changed().filter(pk=style.pk).values("pk"))
        is_declined = offered.update(offered_at=None, declined_reason=reason)
        if not (is_declined or changed.update(declined_at=Now(), declined_reason=reason)):
            raise NotOffered
        _record_decision(style, "declined", reason=reason)


@transaction.atomic
def take_back_style(access: Access, style: Style) -> None:
    """Take a style out of the catalogue with notice. Taking it back twice does not lengthen the notice.

    Raises SharingMoved when it is not public.
    """
    public = Style.objects.filter(pk=style.pk, is_public=True)
    if not public.update(public_until=Coalesce("public_until", Now() + NOTICE)):
        raise SharingMoved
    access.audit("style.taken_back", style)


@transaction.atomic
def keep_public(access: Access, style: Style) -> None:
    """Leave a style in the catalogue after all. Raises SharingMoved when the notice is over."""
    public = Style.objects.filter(pk=style.pk, is_public=True, public_until__gt=Now())
    if not public.update(public_until=None):
        raise SharingMoved
    access.audit("style.kept_public", style)


def set_public(style: Style, *, public: bool = True) -> None:
    """Put a style into everybody's catalogue as it is now, or take it out: who selected it loses it."""
    with transaction.atomic():
        Style.objects.filter(pk=style.pk).update(
            is_public=public,
            public_since=timezone.now() if public else None,
            public_until=None,
            offered_at=None,
            declined_reason="",
            declined_at=None,
        )
        held = Style.objects.select_for_update(no_key=True).get(pk=style.pk)
        if held.is_reviewed:
            review.approve_version(held)
        elif not public:
            review.discard_review(held)
        if not public:
            end_open(held, timezone.now())
        publisher.mark_changed(style)
    style.is_public = public


@transaction.atomic
def share_style(access: Access, style: Style, name: str) -> Share:
    """Return the share of a style with the workspace of a short name; one under notice holds again.

    Anybody can give their workspace the name that people read, so that one shares nothing: the error says the
    short name of the only workspace that has it, which is to be confirmed.

    The errors let members find out which names exist. Short names are in every public model name, and sign-up
    avoids those that are taken. The others are nowhere else public; who knows one exactly learns that a
    workspace has it, and its short name. The worse leak would be a share that waits in silence for the next
    owner of a mistyped name.

    Raises VersionNotShareable, NoSuchWorkspace, ShortNameNeeded, OwnWorkspace or AlreadyShared.
    """
    review.require_shareable(style.live_version)
    tenant = _find_workspace(name)
    if tenant.pk == style.owner_id:
        raise OwnWorkspace
    if tenant.slug != name:
        raise ShortNameNeeded(name=tenant.name, slug=tenant.slug)
    defaults = {"created_by": access.user}
    share, is_new = Share.objects.get_or_create(style=style, tenant=tenant, defaults=defaults)
    under_notice = Share.objects.filter(pk=share.pk).exclude(ends_at=None)
    if not is_new and not under_notice.update(ends_at=None):
        raise AlreadyShared(name=tenant.name)
    publisher.mark_libraries_changed([tenant.pk])  # it may have selected the style when it had it before
    share.ends_at = None
    record_event(tenant.pk, EventType.STYLE_SHARED, share)
    access.audit("style.shared", style, after={"workspace": tenant.slug})
    return share


def _find_workspace(name: str) -> Tenant:
    kept = Tenant.objects.filter(deleted_at=None)
    tenant = kept.filter(slug=name).first()
    if tenant:
        return tenant
    named = list(kept.filter(name__iexact=name)[:2])
    if len(named) != 1:
        raise NoSuchWorkspace(slug=name)
    return named[0]


@transaction.atomic
def revoke_share(access: Access, share: Share) -> None:
    """End a share with notice. Revoking it twice does not lengthen the notice. Raises SharingMoved."""
    in_force = Share.objects.in_force().filter(pk=share.pk)
    if not in_force.update(ends_at=Coalesce("ends_at", Now() + NOTICE)):
        raise SharingMoved
    access.audit("style.share_revoked", share.style, after={"workspace": share.tenant.slug})


@transaction.atomic
def keep_share(access: Access, share: Share) -> None:
    """Let a share under notice hold after all. Raises SharingMoved when the notice is over."""
    if not Share.objects.in_force().filter(pk=share.pk).update(ends_at=None):
        raise SharingMoved
    access.audit("style.share_kept", share.style, after={"workspace": share.tenant.slug})


@transaction.atomic
def leave_share(access: Access, style: Style) -> None:
    """End the workspace's own share of another one's style."""
    for own in Share.objects.filter(tenant=access.tenant, style=style):
        end_share(own)
    access.audit("style.share_left", style)


def end_share(share: Share) -> None:
    """End a share at once: its workspace loses the style with the next request."""
    with transaction.atomic():
        share.delete()
        publisher.mark_libraries_changed([share.tenant_id])


def end_all_shares(style: Style, *, reason: str = "") -> None:
    """Take a style from everybody but its owner, at once; the owner reads the reason."""
    with transaction.atomic():
        shares = Share.objects.filter(style=style)
        sharers = list(shares.values_list("tenant", flat=True))
        shares.delete()
        publisher.mark_libraries_changed(sharers)
        set_public(style, public=False)
        Style.objects.filter(pk=style.pk).update(declined_reason=reason[:300])


def audience(style: Style) -> int:
    """Return how many other workspaces have a style: it is shared with them, or they selected it."""
    return count_audiences([style])[style.pk]


def count_audiences(styles: Sequence[Style]) -> Counter[UUID]:
    """Return the audience of each style, in one query."""
    selected = Selection.objects.in_force().filter(style__in=styles)
    also_selected = selected.filter(style=OuterRef("style"), tenant=OuterRef("tenant"))
    only_shared = Share.objects.in_force().filter(~Exists(also_selected), style__in=styles)
    counted: Counter[UUID] = Counter()
    for style, workspaces in _count_others(selected).union(_count_others(only_shared), all=True):
        counted[style] += workspaces
    return counted


def _count_others(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return each style of some rows with how many workspaces they are of, without its owner's."""
    others: QuerySet[Any] = rows.exclude(tenant=F("style__owner")).order_by()
    counted: QuerySet[Any] = others.values_list("style").annotate(workspaces=Count("pk"))
    return counted


def end_due_shares() -> int:
    """End every share and take out every public style whose notice is over; return how many."""
    shares = sum(_end_if_over(share) for share in Share.objects.over())
    return shares + sum(_take_out_if_over(style) for style in Style.objects.leaving_now())


def _end_if_over(share: Share) -> bool:
    with transaction.atomic():
        deleted, _ = Share.objects.over().filter(pk=share.pk).delete()  # its owner may just have kept it
        if deleted:
            publisher.mark_libraries_changed([share.tenant_id])
    return bool(deleted)


def _take_out_if_over(style: Style) -> bool:
    with transaction.atomic():
        leaving = Style.objects.leaving_now().select_for_update(no_key=True, of=("self",))
        over = leaving.filter(pk=style.pk).first()
        if over:
            set_public(over, public=False)
    return bool(over)


def _record_decision(style: Style, decision: str, **facts: object) -> None:
    style.refresh_from_db()
    record_event(style.owner_id, EventType.STYLE_OFFER_DECIDED, style, decision=decision, **facts)
