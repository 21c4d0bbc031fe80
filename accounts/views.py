"""Pages about the people of a workspace, and the page that an invitation's link leads to."""

from uuid import UUID

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts import members
from accounts.forms import InviteForm, RoleForm
from accounts.subscriptions import FreePlanTaken, FreePlanUsed
from events.models import NoticeMail
from tenants import current
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.models import Invitation, Membership, User
from tenants.roles import DESCRIPTIONS, Permission, allows, requires

Role = Membership.Role
# What somebody is by a role, within a sentence.
WITH_ARTICLE: dict[str, Promise] = {
    Role.OWNER: _("an owner"),
    Role.ADMIN: _("an admin"),
    Role.MEMBER: _("a member"),
    Role.BILLING: _("a billing manager"),
    Role.VIEWER: _("a viewer"),
}


def _team_page(request: MemberRequest, form: InviteForm | None = None) -> HttpResponse:
    people = Membership.objects.filter(tenant=request.tenant).select_related("user")
    waiting = NoticeMail.objects.filter(invitation=OuterRef("pk"), status=NoticeMail.Status.PENDING)
    own_invitations = Invitation.objects.filter(tenant=request.tenant).select_related("invited_by")
    open_invitations = own_invitations.annotate(is_being_sent=Exists(waiting))
    context = {
        "members": list(people.order_by("created_at", "pk")),
        "invitations": list(open_invitations.order_by("-created_at")),
        "now": timezone.now(),
        "own_role": request.role,
        "form": form or InviteForm(own_role=request.role, initial={"role": Role.MEMBER}),
    }
    return render(request, "accounts/team.html", context)


@require_GET
@member_required
@requires()
def list_members(request: MemberRequest) -> HttpResponse:
    """Show the members, and the invitations that are open."""
    return _team_page(request)


@action_view(
    Permission.MANAGE_MEMBERS,
    form=lambda request: InviteForm(request.POST, own_role=request.role),
    page=_team_page,
    to="accounts:team",
)
def invite(request: MemberRequest, form: InviteForm) -> str:
    """Invite somebody by mail."""
    invitation = members.invite(**form.cleaned_data, by=access_of(request))
    done = gettext("{invitation} was invited. The link is valid for seven days.")
    return done.format(invitation=invitation.email)


def _member_page(request: MemberRequest, form: RoleForm | None = None, *, member_id: int) -> HttpResponse:
    member = _find_member(request, member_id)
    may_make_owners = allows(request.role, Permission.MANAGE_OWNERS)
    is_self = member.user_id == request.user.pk
    context = {
        "member": member,
        "is_self": is_self,
        "may_change": may_make_owners or member.role != Role.OWNER,
        "may_transfer": may_make_owners and not is_self and member.role != Role.OWNER,
        "form": form or RoleForm(own_role=request.role, initial={"role": member.role}),
    }
    return render(request, "accounts/member.html", context)


@require_GET
@member_required
@requires(to_read=Permission.MANAGE_MEMBERS)
def show_member(request: MemberRequest, member_id: int) -> HttpResponse:
    """Show what can be done about a member."""
    return _member_page(request, member_id=member_id)


@action_view(
    Permission.MANAGE_MEMBERS,
    form=lambda request, member_id: RoleForm(request.POST, own_role=request.role),
    page=_member_page,
    to="accounts:team",
)
def change_role(request: MemberRequest, form: RoleForm, member_id: int) -> str:
    """Give a member another role."""
    member = _find_member(request, member_id)
    members.change_role(member, form.cleaned_data["role"], by=access_of(request))
    done = gettext("{user} is now {label}.")
    return done.format(user=member.user.email, label=WITH_ARTICLE[member.role])


@action_view(Permission.MANAGE_MEMBERS, to="accounts:member")
def remove_member(request: MemberRequest, member_id: int) -> HttpResponse:
    """Take a person out of the workspace."""
    member = _find_member(request, member_id)
    members.remove_member(member, by=access_of(request))
    done = gettext("{user} is no longer a member of {tenant}.")
    messages.success(request, done.format(user=member.user.email, tenant=request.tenant.name))
    return redirect("accounts:team")


@action_view(Permission.MANAGE_OWNERS, to="accounts:team")
def transfer_ownership(request: MemberRequest, member_id: int) -> str:
    """Hand the workspace over: the member becomes an owner, the owner an admin."""
    member = _find_member(request, member_id)
    members.transfer_ownership(member, by=access_of(request))
    done = gettext("{user} now owns {tenant}. You're an admin.")
    return done.format(user=member.user.email, tenant=request.tenant.name)


@action_view(Permission.READ, to="accounts:team")
def leave(request: MemberRequest) -> HttpResponse:
    """Leave the workspace."""
    members.leave(access_of(request))
    messages.success(request, gettext("You left {tenant}.").format(tenant=request.tenant.name))
    return redirect(settings.LOGIN_REDIRECT_URL)


@action_view(Permission.MANAGE_MEMBERS, to="accounts:team")
def resend_invitation(request: MemberRequest, invitation_id: UUID) -> str:
    """Mail an invitation again, with a new link."""
    invitation = _find_invitation(request, invitation_id)
    members.resend(invitation, by=access_of(request))
    done = gettext("{invitation} was sent a new link. The old one no longer works.")
    return done.format(invitation=invitation.email)


@action_view(Permission.MANAGE_MEMBERS, to="accounts:team")
def withdraw_invitation(request: MemberRequest, invitation_id: UUID) -> str:
    """End an invitation."""
    invitation = _find_invitation(request, invitation_id)
    members.withdraw(invitation, by=access_of(request))
    return gettext("The invitation for {invitation} was withdrawn.").format(invitation=invitation.email)


# The token is what lets a person see it. The page tells no other site where it came from.
@never_cache
@require_http_methods(["GET", "POST"])
def show_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites to what; a POST of the invited person joins."""
    try:
        invitation = members.find_by_token(token)
    except members.InvitationOver as error:
        return render(request, "accounts/invitation_over.html", {"sentence": error.message}, status=404)
    user = request.user
    if request.method == "POST" and isinstance(user, User):
        return _join(request, invitation, user)
    if not isinstance(user, User):
        # The link proves that its holder reads this mailbox: a new account needs no second mail.
        get_adapter().stash_verified_email(request, invitation.email)
    context = {
        "invitation": invitation,
        "label": Role(invitation.role).label,
        "description": DESCRIPTIONS[invitation.role],
        "is_for_user": isinstance(user, User) and members.is_for(invitation, user),
    }
    return render(request, "accounts/invitation.html", context)


def _join(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    try:
        membership = members.accept(invitation, user, address=request.META.get("REMOTE_ADDR") or None)
    except members.OtherAddress as error:
        raise PermissionDenied(error.message) from error
    except members.InvitationOver as error:
        return render(request, "accounts/invitation_over.html", {"sentence": error.message}, status=404)
    except (FreePlanTaken, FreePlanUsed) as error:  # who was invited as an owner
        messages.error(request, error.message)
        return redirect(request.path)
    current.open_workspace(request, user, membership.tenant_id)
    messages.success(request, gettext("Welcome to {tenant}.").format(tenant=membership.tenant.name))
    return redirect(settings.LOGIN_REDIRECT_URL)


def _find_member(request: MemberRequest, member_id: int) -> Membership:
    own = Membership.objects.filter(tenant=request.tenant).select_related("user", "tenant")
    return get_object_or_404(own, pk=member_id)


def _find_invitation(request: MemberRequest, invitation_id: UUID) -> Invitation:
    return get_object_or_404(Invitation, pk=invitation_id, tenant=request.tenant)
