"""Members of a workspace: change a role, hand over, remove, leave. A workspace always keeps an owner.

Each action is one transaction with its line in the audit log.
"""

from datetime import timedelta

from django.core import signing
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import subscriptions
from core.errors import Conflict, NotAllowed, NotFound
from events.models import INVITATION, NoticeMail
from tenants.access import Access
from tenants.invitation_links import SIGNER
from tenants.models import Invitation, Membership, Tenant, User
from tenants.persons import end_memberships
from tenants.roles import Permission

# Invite people to a workspace by mail, and let them in.
#
# The mailed link is signed (DJANGO_SECRET_KEY) and written when it is mailed, so the database has no token.
# It admits anyone logged in with the invited address, once, for seven days. Nothing here says whether an
# address has an account.

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
        if membership.role == Membership.Role.OWNER and subscriptions.is_free(invitation.tenant):
            subscriptions.require_unused(user, beside=invitation.tenant)
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


Role = Membership.Role


class LastOwner(Conflict):
    """A workspace needs at least one owner. Make another member an owner first."""


class NotAPerson(Conflict):
    """An API key belongs to the workspace and can't leave it. Revoke the key instead."""


class AlreadyOwner(Conflict):
    """{email} is already an owner."""


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: Access) -> None:
    """Give a member another role, from the next request on.

    Raises LastOwner, OwnsOtherFreeWorkspace; NotAllowed where the caller may not give the one role or take
    the other.
    """
    before = _lock(membership)
    if role == before:
        return
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.require_assignable(before)
    by.require_assignable(role)
    _require_other_owner(membership, keeps=role == Role.OWNER)
    if role == Role.OWNER:
        subscriptions.require_for_owner(membership.user, membership.tenant)
    Membership.objects.filter(pk=membership.pk).update(role=role)
    membership.role = role
    by.audit("member.edited", membership, before={"role": before}, after={"role": role})


@transaction.atomic
def remove_member(membership: Membership, *, by: Access) -> None:
    """Take a person out of a workspace. The keys that they made stay.

    Raises LastOwner; NotAllowed where the caller may not take the member's role.
    """
    role = _lock(membership)
    by.require_permission(Permission.MANAGE_MEMBERS)
    by.require_assignable(role)
    _end(membership, "member.removed", by=by)


@transaction.atomic
def leave(by: Access) -> None:
    """Take the person who acts out of the workspace. Raises LastOwner, and NotAPerson for a key."""
    if by.user is None:
        raise NotAPerson
    membership = Membership.objects.select_related("user", "tenant").get(tenant=by.tenant, user=by.user)
    _lock(membership)
    _end(membership, "member.left", by=by)


@transaction.atomic
def transfer_ownership(membership: Membership, *, by: Access) -> None:
    """Make a member an owner, and the owner who acts an admin. A key hands over for nobody.

    Raises RoleNotAllowed, NotAPerson, AlreadyOwner and OwnsOtherFreeWorkspace.
    """
    role = _lock(membership)
    if by.user is None:
        raise NotAPerson
    by.require_owner_rights()
    if role == Role.OWNER:
        raise AlreadyOwner(email=membership.user.email)
    subscriptions.require_for_owner(membership.user, membership.tenant)
    Membership.objects.filter(pk=membership.pk).update(role=Role.OWNER)
    Membership.objects.filter(tenant=by.tenant, user=by.user).update(role=Role.ADMIN)
    membership.role = Role.OWNER
    by.audit(
        "workspace.transferred",
        membership,
        before={"owner": by.user.email},
        after={"owner": membership.user.email},
    )


def _lock(membership: Membership) -> str:
    """Lock the workspace's row and return the member's role as it is now.

    Two owners that remove each other at once would leave none.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=membership.tenant_id)
    membership.refresh_from_db(fields=["role"])
    return membership.role


def _end(membership: Membership, action: str, *, by: Access) -> None:
    """End a membership whose workspace is locked."""
    _require_other_owner(membership, keeps=False)
    by.audit(action, membership, before={"role": membership.role})
    end_memberships(Membership.objects.filter(pk=membership.pk))


def _require_other_owner(membership: Membership, *, keeps: bool) -> None:
    others = Membership.objects.filter(tenant=membership.tenant_id, role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not keeps and not others.exists():
        raise LastOwner
