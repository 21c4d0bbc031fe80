"""Pages about the people of a workspace, and the page that an invitation's link leads to."""

from functools import partial
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.errors import DomainError
from tenants.accounts import current, invitations, members
from tenants.accounts.access import MemberRequest, access_of, member_required
from tenants.accounts.forms import InviteForm, RoleForm
from tenants.accounts.roles import DESCRIPTIONS, Permission, RoleNotAllowed, allows, requires
from tenants.models import Invitation, Membership, User
from tenants.views.outcomes import run_action

Role = Membership.Role
# What somebody is by a role, within a sentence.
WITH_ARTICLE: dict[str, Promise] = {
    Role.OWNER: _("an owner"),
    Role.ADMIN: _("an admin"),
    Role.MEMBER: _("a member"),
    Role.BILLING: _("a billing manager"),
    Role.VIEWER: _("a viewer"),
}


@require_GET
@member_required
@requires()
def list_members(request: MemberRequest) -> HttpResponse:
    """Show the members, and the invitations that are open."""
    return _team_page(request, InviteForm(own_role=request.role, initial={"role": Role.MEMBER}))


@require_POST
@member_required
@requires(Permission.MANAGE_MEMBERS)
def invite(request: MemberRequest) -> HttpResponse:
    """Invite somebody by mail."""
    form = InviteForm(request.POST, own_role=request.role)
    if form.is_valid():
        try:
            invitation = invitations.invite(**form.cleaned_data, by=access_of(request))
        except DomainError as error:
            form.add_failure(error)
        else:
            messages.success(
                request,
                gettext("{invitation} was invited. The link is valid for seven days.").format(
                    invitation=invitation.email
                ),
            )
            return redirect("tenants:team")
    return _team_page(request, form, status=400)


@require_GET
@member_required
@requires(to_read=Permission.MANAGE_MEMBERS)
def show_member(request: MemberRequest, member_id: int) -> HttpResponse:
    """Show what can be done about a member."""
    member = _find_member(request, member_id)
    return _member_page(request, member, RoleForm(own_role=request.role, initial={"role": member.role}))


@require_POST
@member_required
@requires(Permission.MANAGE_MEMBERS)
def change_role(request: MemberRequest, member_id: int) -> HttpResponse:
    """Give a member another role."""
    member = _find_member(request, member_id)
    form = RoleForm(request.POST, own_role=request.role)
    if form.is_valid():
        try:
            members.change_role(member, form.cleaned_data["role"], by=access_of(request))
        except RoleNotAllowed as error:  # an admin can't make or remove an owner
            raise PermissionDenied(error.message) from error
        except DomainError as error:
            form.add_failure(error)
        else:
            messages.success(
                request,
                gettext("{user} is now {label}.").format(
                    user=member.user.email, label=WITH_ARTICLE[member.role]
                ),
            )
            return redirect("tenants:team")
    return _member_page(request, member, form, status=400)


@require_POST
@member_required
@requires(Permission.MANAGE_MEMBERS)
def remove_member(request: MemberRequest, member_id: int) -> HttpResponse:
    """Take a person out of the workspace."""
    member = _find_member(request, member_id)
    removed = gettext("{user} is no longer a member of {tenant}.").format(
        user=member.user.email, tenant=request.tenant.name
    )
    remove = partial(members.remove_member, member, by=access_of(request))
    if not run_action(request, remove, done=removed):
        return redirect("tenants:member", member_id)
    return redirect("tenants:team")


@require_POST
@member_required
@requires(Permission.MANAGE_OWNERS)
def transfer_ownership(request: MemberRequest, member_id: int) -> HttpResponse:
    """Hand the workspace over: the member becomes an owner, the owner an admin."""
    member = _find_member(request, member_id)
    transferred = gettext("{user} now owns {tenant}. You're an admin.").format(
        user=member.user.email, tenant=request.tenant.name
    )
    transfer = partial(members.transfer_ownership, member, by=access_of(request))
    run_action(request, transfer, done=transferred)
    return redirect("tenants:team")


@require_POST
@member_required
@requires(Permission.READ)
def leave(request: MemberRequest) -> HttpResponse:
    """Leave the workspace."""
    left = gettext("You left {tenant}.").format(tenant=request.tenant.name)
    has_left = run_action(request, partial(members.leave, access_of(request)), done=left)
    return redirect(settings.LOGIN_REDIRECT_URL if has_left else "tenants:team")


@require_POST
@member_required
@requires(Permission.MANAGE_MEMBERS)
def resend_invitation(request: MemberRequest, invitation_id: UUID) -> HttpResponse:
    """Mail an invitation again, with a new link."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, tenant=request.tenant)
    sent = gettext("{invitation} was sent a new link. The old one no longer works.").format(
        invitation=invitation.email
    )
    run_action(request, partial(invitations.resend, invitation, by=access_of(request)), done=sent)
    return redirect("tenants:team")


@require_POST
@member_required
@requires(Permission.MANAGE_MEMBERS)
def withdraw_invitation(request: MemberRequest, invitation_id: UUID) -> HttpResponse:
    """End an invitation."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, tenant=request.tenant)
    withdrawn = gettext("The invitation for {invitation} was withdrawn.").format(invitation=invitation.email)
    run_action(request, partial(invitations.withdraw, invitation, by=access_of(request)), done=withdrawn)
    return redirect("tenants:team")


# The token is what lets a person see it. The page tells no other site where it came from.
@never_cache
@require_http_methods(["GET", "POST"])
def show_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites to what; a POST of the invited person joins."""
    try:
        invitation = invitations.find_by_token(token)
    except invitations.InvitationOver as error:
        return render(request, "tenants/team/invitation_over.html", {"sentence": error.message}, status=404)
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
        "is_for_user": isinstance(user, User) and invitations.is_for(invitation, user),
    }
    return render(request, "tenants/team/invitation.html", context)


def _join(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    try:
        membership = invitations.accept(invitation, user, address=request.META.get("REMOTE_ADDR") or None)
    except invitations.OtherAddress as error:
        raise PermissionDenied(error.message) from error
    except invitations.InvitationOver as error:
        return render(request, "tenants/team/invitation_over.html", {"sentence": error.message}, status=404)
    current.open_workspace(request, user, membership.tenant_id)
    messages.success(request, gettext("Welcome to {tenant}.").format(tenant=membership.tenant.name))
    return redirect(settings.LOGIN_REDIRECT_URL)


def _find_member(request: MemberRequest, member_id: int) -> Membership:
    own = Membership.objects.filter(tenant=request.tenant).select_related("user", "tenant")
    return get_object_or_404(own, pk=member_id)


def _team_page(request: MemberRequest, form: InviteForm, *, status: int = 200) -> HttpResponse:
    people = Membership.objects.filter(tenant=request.tenant).select_related("user")
    open_invitations = Invitation.objects.filter(tenant=request.tenant).select_related("invited_by")
    context = {
        "members": list(people.order_by("created_at", "pk")),
        "invitations": list(open_invitations.order_by("-created_at")),
        "now": timezone.now(),
        "own_role": request.role,
        "form": form,
    }
    return render(request, "tenants/team/team.html", context, status=status)


def _member_page(
    request: MemberRequest, member: Membership, form: RoleForm, *, status: int = 200
) -> HttpResponse:
    may_make_owners = allows(request.role, Permission.MANAGE_OWNERS)
    is_self = member.user_id == request.user.pk
    context = {
        "member": member,
        "is_self": is_self,
        "may_change": may_make_owners or member.role != Role.OWNER,
        "may_transfer": may_make_owners and not is_self and member.role != Role.OWNER,
        "form": form,
    }
    return render(request, "tenants/team/member.html", context, status=status)
