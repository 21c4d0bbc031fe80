"""The pages "Settings": the workspace, the person, and how to delete either."""

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from adapters.public import StyleChoice, list_style_choices
from core.errors import DomainError
from tenants.accounts import account_deletion, deleted_workspaces, deletion, workspaces
from tenants.accounts.access import MemberRequest, access_of, ask_to_log_in, member_required
from tenants.accounts.forms import (
    DeleteAccountForm,
    DeleteWorkspaceForm,
    ProfileForm,
    WorkspaceForm,
)
from tenants.accounts.roles import Permission, requires
from tenants.models import User
from website.key_forms import NewKeysForm


@require_GET
@member_required
def show_settings(request: MemberRequest) -> HttpResponse:
    """Show what can be set about the workspace."""
    return _settings_page(request)


@require_GET
def show_account(request: HttpRequest) -> HttpResponse:
    """Show what can be set about the person, also to one who is in no workspace."""
    if not request.user.is_authenticated:
        return ask_to_log_in(request)
    return _account_page(request, ProfileForm(instance=request.user))


@require_POST
@member_required
@requires(Permission.EDIT_WORKSPACE)
def edit_workspace(request: MemberRequest) -> HttpResponse:
    """Rename the workspace, and choose what its pages begin with."""
    form = WorkspaceForm(request.POST, styles=_style_choices(request))
    if form.is_valid():
        try:
            workspaces.edit_workspace(access_of(request), form.cleaned_data)
        except DomainError as error:
            form.add_failure(error)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("website:settings")
    return _settings_page(request, workspace_form=form, status=400)


@require_POST
@member_required
@requires(Permission.EDIT_WORKSPACE)
def limit_new_keys(request: MemberRequest) -> HttpResponse:
    """Set what new API keys start with: their limits, and when they end."""
    form = NewKeysForm(request.POST, tenant=request.tenant)
    if not form.is_valid():
        return _settings_page(request, keys_form=form, status=400)
    limits = {name: value for name, value in form.chosen().items() if value is not None}
    with transaction.atomic():
        changes = {"key_limits": limits or None, "key_lifetime_days": form.cleaned_data["lifetime_days"]}
        workspaces.edit_workspace(access_of(request), changes)
    messages.success(request, gettext("Saved. This applies to new keys; existing keys don't change."))
    return redirect("website:settings")


@require_POST
@member_required
@requires(Permission.READ)
def edit_profile(request: MemberRequest) -> HttpResponse:
    """Change a person's name and language."""
    form = ProfileForm(request.POST, instance=User.objects.get(pk=request.user.pk))
    if not form.is_valid():
        return _account_page(request, form, status=400)
    with transaction.atomic():
        form.save()
        access_of(request).audit("profile.edited", request.user, after={"fields": form.changed_data})
    messages.success(request, gettext("Saved."))
    return redirect("website:account")


@require_http_methods(["GET", "POST"])
@member_required
@requires(Permission.DELETE_WORKSPACE, to_read=Permission.DELETE_WORKSPACE)
def delete_workspace(request: MemberRequest) -> HttpResponse:
    """Show what is lost with the workspace; have it deleted in a day when its name was typed.

    Who has just shown a password or a second factor need not do it again.
    """
    form = DeleteWorkspaceForm(request.POST or None, expected=request.tenant.name)
    if form.is_valid():
        raise_if_reauthentication_required(request, app="tenants")
        try:
            deletion.request_deletion(access_of(request))
        except DomainError as error:
            form.add_failure(error)
        else:
            return redirect("website:delete_workspace")
    context = {"form": form, "stays": deleted_workspaces.STAYS}
    status = 400 if form.is_bound else 200
    return render(request, "website/settings/delete_workspace.html", context, status=status)


@require_POST
@member_required
@requires(Permission.DELETE_WORKSPACE)
def stop_deletion(request: MemberRequest) -> HttpResponse:
    """Keep the workspace."""
    try:
        deletion.stop_deletion(access_of(request))
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, gettext("{name} won't be deleted.").format(name=request.tenant.name))
    return redirect("website:settings")


@require_http_methods(["GET", "POST"])
def delete_account(request: HttpRequest) -> HttpResponse:
    """Show what goes with the account; delete it when the address and the password were typed."""
    if not request.user.is_authenticated:
        return ask_to_log_in(request)
    user = User.objects.get(pk=request.user.pk)
    form = DeleteAccountForm(request.POST or None, user=user)
    if request.method == "POST":
        # Guesses of a password are counted as those of the page that asks for it again.
        limited: HttpResponse | None = ratelimit.consume_or_429(request, action="reauthenticate", user=user)
        if limited:
            return limited
    if form.is_valid():
        try:
            account_deletion.delete_account(user, address=request.META.get("REMOTE_ADDR") or None)
        except DomainError as error:
            form.add_failure(error)
        else:
            logout(request)
            return render(request, "website/settings/account_deleted.html")
    context = {
        "form": form,
        "plan": account_deletion.plan_account_deletion(user),
        "stays": deleted_workspaces.STAYS,
    }
    status = 400 if form.is_bound else 200
    return render(request, "website/settings/delete_account.html", context, status=status)


def _settings_page(
    request: MemberRequest,
    *,
    workspace_form: WorkspaceForm | None = None,
    keys_form: NewKeysForm | None = None,
    status: int = 200,
) -> HttpResponse:
    tenant = request.tenant
    saved = {
        "name": tenant.name,
        "default_style": tenant.default_style,
        "is_watermarked": tenant.is_watermarked,
        "responses_kept_days": tenant.responses_kept_days,
    }
    styles = _style_choices(request)
    context: dict[str, object] = {
        "workspace_form": workspace_form or WorkspaceForm(initial=saved, styles=styles),
        "keys_form": keys_form or NewKeysForm(tenant=request.tenant),
    }
    return render(request, "website/settings/settings.html", context, status=status)


def _account_page(request: HttpRequest, form: ProfileForm, *, status: int = 200) -> HttpResponse:
    return render(request, "website/settings/account.html", {"profile_form": form}, status=status)


def _style_choices(request: MemberRequest) -> list[StyleChoice]:
    """Return the styles to begin with that are offered; the present one is among them."""
    present = request.tenant.default_style
    return list_style_choices(request.tenant, besides=[present] if present else [])
