"""The pages "Settings": the workspace, the person, and how to delete either."""

from uuid import UUID

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import deletion, subscriptions, workspaces
from accounts.deletion import find_deleted_workspace
from accounts.forms import (
    CreateWorkspaceForm,
    DeleteAccountForm,
    DeleteWorkspaceForm,
    ProfileForm,
    WorkspaceForm,
)
from adapters.public import StyleChoice, list_style_choices, select_first_party_styles
from core.pages import failures_shown, render_page_or_part
from keys.forms import NewKeysForm
from operations.sample_data.removal import NoSampleData, remove_sample_data
from operations.workspace_data import describe_progress, workspace_report
from tenants import current
from tenants.access import MemberRequest, access_of, access_of_person, ask_to_log_in, member_required
from tenants.action_view import action_view
from tenants.models import Tenant, User
from tenants.roles import Permission


def _settings_page(request: MemberRequest, form: WorkspaceForm | NewKeysForm | None = None) -> HttpResponse:
    tenant = request.tenant
    saved = {
        "name": tenant.name,
        "default_style": tenant.default_style,
        "is_watermarked": tenant.is_watermarked,
        "responses_kept_days": tenant.responses_kept_days,
    }
    context: dict[str, object] = {
        "workspace_form": WorkspaceForm(initial=saved, styles=_style_choices(request)),
        "keys_form": NewKeysForm(tenant=tenant),
    }
    if form:
        context["keys_form" if isinstance(form, NewKeysForm) else "workspace_form"] = form
    return render(request, "website/settings/settings.html", context)


@require_GET
@member_required
def show_settings(request: MemberRequest) -> HttpResponse:
    """Show what can be set about the workspace."""
    return _settings_page(request)


@action_view(
    Permission.EDIT_WORKSPACE,
    form=lambda request: WorkspaceForm(request.POST, styles=_style_choices(request)),
    page=_settings_page,
    to="website:settings",
)
def edit_workspace(request: MemberRequest, form: WorkspaceForm) -> str:
    """Rename the workspace, and choose what its pages begin with."""
    workspaces.edit_workspace(access_of(request), form.cleaned_data)
    return gettext("Saved.")


@action_view(
    Permission.EDIT_WORKSPACE,
    form=lambda request: NewKeysForm(request.POST, tenant=request.tenant),
    page=_settings_page,
    to="website:settings",
)
def limit_new_keys(request: MemberRequest, form: NewKeysForm) -> str:
    """Set what new API keys start with: their limits, and when they end."""
    limits = {name: value for name, value in form.chosen().items() if value is not None}
    changes = {"key_limits": limits or None, "key_lifetime_days": form.cleaned_data["lifetime_days"]}
    workspaces.edit_workspace(access_of(request), changes)
    return gettext("Saved. This applies to new keys; existing keys don't change.")


def _account_page(request: HttpRequest, form: ProfileForm) -> HttpResponse:
    return render(request, "website/settings/account.html", {"profile_form": form})


@require_GET
def show_account(request: HttpRequest) -> HttpResponse:
    """Show what can be set about the person, also to one who is in no workspace."""
    if not request.user.is_authenticated:
        return ask_to_log_in(request)
    return _account_page(request, ProfileForm(instance=request.user))


@action_view(
    Permission.READ,
    # Of a row of its own: a form that is wrong must not change the person whom the page shows.
    form=lambda request: ProfileForm(request.POST, instance=User.objects.get(pk=request.user.pk)),
    page=_account_page,
    to="website:account",
)
def edit_profile(request: MemberRequest, form: ProfileForm) -> str:
    """Change a person's name and language."""
    with transaction.atomic():
        form.save()
        access_of(request).audit("profile.edited", request.user, after={"fields": form.changed_data})
    return gettext("Saved.")


def _delete_workspace_page(request: MemberRequest, form: DeleteWorkspaceForm | None) -> HttpResponse:
    form = form or DeleteWorkspaceForm(expected=request.tenant.name)
    context = {"form": form, "stays": deletion.STAYS}
    return render(request, "website/settings/delete_workspace.html", context)


@action_view(
    Permission.DELETE_WORKSPACE,
    to_read=Permission.DELETE_WORKSPACE,
    form=lambda request: DeleteWorkspaceForm(request.POST, expected=request.tenant.name),
    page=_delete_workspace_page,
)
def delete_workspace(request: MemberRequest, form: DeleteWorkspaceForm) -> HttpResponse:
    """Show what is lost with the workspace; have it deleted in a day when its name was typed.

    Who has just shown a password or a second factor need not do it again.
    """
    raise_if_reauthentication_required(request, app="tenants")
    deletion.request_deletion(access_of(request))
    return redirect("website:delete_workspace")


@action_view(Permission.DELETE_WORKSPACE, to="website:settings")
def stop_deletion(request: MemberRequest) -> str:
    """Keep the workspace."""
    deletion.stop_deletion(access_of(request))
    return gettext("{name} won't be deleted.").format(name=request.tenant.name)


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
        with failures_shown(request, form):
            deletion.delete_account(user, address=request.META.get("REMOTE_ADDR") or None)
            logout(request)
            return render(request, "website/settings/account_deleted.html")
    context = {
        "form": form,
        "plan": deletion.plan_account_deletion(user),
        "stays": deletion.STAYS,
    }
    status = 400 if form.is_bound else 200
    return render(request, "website/settings/delete_account.html", context, status=status)


def _style_choices(request: MemberRequest) -> list[StyleChoice]:
    """Return the styles to begin with that are offered; the present one is among them."""
    present = request.tenant.default_style
    return list_style_choices(request.tenant, besides=[present] if present else [])


# Create a workspace, and go from one to another.


@login_required
@require_http_methods(["GET", "POST"])
def create_workspace(request: HttpRequest) -> HttpResponse:
    """Let a person create a workspace: the first one, or another."""
    user = request.user
    if not isinstance(user, User):
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = CreateWorkspaceForm(request.POST or None)
    if form.is_valid():
        with failures_shown(request, form):
            tenant = _create(request, user, form.cleaned_data["workspace"])
            current.open_workspace(request, user, tenant.pk)
            return redirect("welcome")
    context = {
        "form": form,
        "is_first": not current.list_memberships(request),
        "deleted": deletion.list_deleted(user),
        "refusal": None if form.is_bound else subscriptions.find_refusal(user),
    }
    return render(request, "website/create_workspace.html", context, status=400 if form.is_bound else 200)


@require_POST
def switch_workspace(request: HttpRequest) -> HttpResponse:
    """Open another of the person's workspaces, on the page that was open or on the first one."""
    user = request.user
    if not isinstance(user, User):
        return ask_to_log_in(request)
    own = {one.tenant.slug: one.tenant for one in current.list_memberships(request)}
    tenant = own.get(request.POST.get("workspace", ""))
    if tenant is None:
        raise Http404
    current.open_workspace(request, user, tenant.pk)
    messages.success(request, gettext("You switched to {tenant}.").format(tenant=tenant.name))
    page = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return redirect(page)
    return redirect(settings.LOGIN_REDIRECT_URL)


def _create(request: HttpRequest, user: User, name: str) -> Tenant:
    address = request.META.get("REMOTE_ADDR") or None
    with transaction.atomic():
        tenant = workspaces.create_own_tenant(user, name=name, address=address)
        select_first_party_styles(access_of_person(user, tenant, address=address))
    return tenant


# Remove the demo's sample data, as Home offers it to the workspace's owner.


@action_view(Permission.DELETE_WORKSPACE, to="member_home")
def remove_sample(request: MemberRequest) -> str:
    """Remove the sample workspace that is open. Raises Http404 in any other workspace."""
    try:
        remove_sample_data(access_of(request))
    except NoSampleData as error:
        raise Http404(error.message) from error
    return gettext("The sample data was removed.")


# The page of a deleted workspace's erasure, for those who owned it.


@require_GET
@never_cache
@login_required
def show_erasure(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """Show how far the erasure is, which the page polls; with `?form=json` each proof."""
    user = request.user
    tenant = find_deleted_workspace(user, workspace_id) if isinstance(user, User) else None
    if tenant is None:
        raise Http404
    if request.GET.get("form") == "json":
        return workspace_report(tenant)
    return render_page_or_part(request, "website/workspace_erasure.html", describe_progress(tenant))
