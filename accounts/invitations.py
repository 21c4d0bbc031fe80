"""Invite people to a workspace by mail, and let them in.

The mailed link is signed (DJANGO_SECRET_KEY) and written when it is mailed, so the database has no token. It
admits anyone logged in with the invited address, once, for seven days. Nothing here says whether an address
has an account.
"""

from datetime import timedelta

from django.core import signing
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import free_plan
from core.errors import Conflict, NotAllowed, NotFound
from events.models import INVITATION, NoticeMail
from tenants.access import Access
from tenants.invitation_links import SIGNER
from tenants.models import Invitation, Membership, Tenant, User
from tenants.roles import Permission

LINK_LASTS = timedelta(days=7)
MAX_OPEN = 100  # of a workspace
MAX_MAILS_A_DAY = 50  # of a workspace: invitations are mail to strangers
RESEND_AFTER = timedelta(minutes=2)


class AlreadyMember(Conflict):
    """{email} is already a member."""


class AlreadyInvited(Conflict):
    """{email} has already been invited. Resend the invitation, or withdraw it first."""


class TooManyInvitations(Conflict):
    """A workspace can have at most {most} open invitations. Withdraw some first."""


class TooManyMails(Conflict):
    """A workspace can send at most {most} invitations per day. Try again tomorrow."""

    code = "too_many_invitation_mails"


class MailedJustNow(Conflict):
    """This invitation was just sent. Wait two minutes before you resend it."""


class InvitationOver(NotFound):
    """This invitation is no longer valid: it was used or withdrawn, or it expired after seven days."""


class OtherAddress(NotAllowed):
    """This invitation is for a different email address. Log in with the address it was sent to."""


@transaction.atomic
def invite(email: str, role: str, *, by: Access) -> Invitation:
    """Return a new invitation, which a worker mails.

    Raises AlreadyMember, AlreadyInvited, TooManyInvitations, TooManyMails; NotAllowed where the caller may
    not give the role.
    """
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.require_assignable(role)
    # One after the other: else two at once would both pass the limits.
    Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)
    if Membership.objects.filter(tenant=by.tenant, user__email__iexact=email).exists():
        raise AlreadyMember(email=email, field="email")
    if Invitation.objects.filter(tenant=by.tenant).count() >= MAX_OPEN:
        raise TooManyInvitations(most=MAX_OPEN)
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                tenant=by.tenant,
                email=email,
                role=role,
                invited_by=by.user,
                expires_at=timezone.now() + LINK_LASTS,
            )
    except IntegrityError:
        raise AlreadyInvited(email=email, field="email") from None
    _queue_mail(invitation)
    by.audit("invitation.created", invitation, after={"email": email, "role": role})
    return invitation


@transaction.atomic
def resend(invitation: Invitation, *, by: Access) -> None:
    """Mail an invitation again, with a new link for seven days; the old link ends.

    Raises MailedJustNow, TooManyMails, RoleNotAllowed.
    """
    by.require_permission(Permission.MANAGE_MEMBERS)
    Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)
    invitation.refresh_from_db()
    if invitation.expires_at - LINK_LASTS > timezone.now() - RESEND_AFTER:  # when its link was made
        raise MailedJustNow
    invitation.expires_at = timezone.now() + LINK_LASTS
    invitation.save(update_fields=["expires_at"])
    _queue_mail(invitation)
    by.audit("invitation.resent", invitation)


@transaction.atomic
def withdraw(invitation: Invitation, *, by: Access) -> None:
    """End an invitation: its link opens nothing from now on. Raises RoleNotAllowed."""
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.audit("invitation.withdrawn", invitation, before={"role": invitation.role})
    Invitation.objects.filter(pk=invitation.pk).delete()


def find_by_token(token: str) -> Invitation:
    """Return the open invitation of a mailed link. Raises InvitationOver."""
    opened = Invitation.objects.open(timezone.now()).select_related("tenant", "invited_by")
    try:
        invitation_id, expires_at = SIGNER.unsign_object(token)
        return opened.get(pk=invitation_id, expires_at=expires_at)
    except (signing.BadSignature, Invitation.DoesNotExist):
        raise InvitationOver from None


def is_for(invitation: Invitation, user: User) -> bool:
    """Return whether an invitation is for a person: their login's address, which is always confirmed."""
    return invitation.email.lower() == user.email.lower()


@transaction.atomic
def accept(invitation: Invitation, user: User, *, address: str | None) -> Membership:
    """Let a person in.

    Raises OtherAddress, InvitationOver if it was used or withdrawn meanwhile, and what keeps a person from
    owning another workspace on the free plan.
    """
    if not is_for(invitation, user):
        raise OtherAddress
    Tenant.objects.select_for_update(no_key=True).get(pk=invitation.tenant_id)
    taken, _ = Invitation.objects.open(timezone.now()).filter(pk=invitation.pk).delete()
    if not taken:
        raise InvitationOver
    membership, is_new = Membership.objects.get_or_create(
        tenant=invitation.tenant, user=user, defaults={"role": invitation.role}
    )
    if is_new:
        if membership.role == Membership.Role.OWNER and free_plan.is_free(invitation.tenant):
            free_plan.require_unused(user, beside=invitation.tenant)
        access = Access(tenant=invitation.tenant, user=user, role=membership.role, address=address)
        access.audit("member.joined", membership, after={"role": membership.role})
    return membership


def _queue_mail(invitation: Invitation) -> None:
    """Let a worker mail an invitation's link, in place of a mail that waits. Raises TooManyMails."""
    mails = NoticeMail.objects.filter(tenant=invitation.tenant, kind=INVITATION)
    if mails.filter(created_at__gt=timezone.now() - timedelta(days=1)).count() >= MAX_MAILS_A_DAY:
        raise TooManyMails(most=MAX_MAILS_A_DAY)
    mails.filter(invitation=invitation, status=NoticeMail.Status.PENDING).update(
        status=NoticeMail.Status.UNWANTED, ended_at=timezone.now()
    )
    NoticeMail.objects.create(tenant=invitation.tenant, invitation=invitation, kind=INVITATION)
