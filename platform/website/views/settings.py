"""The pages "Settings": the workspace, the person, and how to delete either."""

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods

from accounts import account_deletion, deleted_workspaces, deletion, workspaces
from accounts.forms import DeleteAccountForm, DeleteWorkspaceForm, ProfileForm, WorkspaceForm
from adapters.public import StyleChoice, list_style_choices
from core.page_failures import failures_shown
from keys.forms import NewKeysForm
from tenants.access import MemberRequest, access_of, ask_to_log_in, member_required
from tenants.action_view import action_view
from tenants.models import User
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
    context = {"form": form, "stays": deleted_workspaces.STAYS}
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
            account_deletion.delete_account(user, address=request.META.get("REMOTE_ADDR") or None)
            logout(request)
            return render(request, "website/settings/account_deleted.html")
    context = {
        "form": form,
        "plan": account_deletion.plan_account_deletion(user),
        "stays": deleted_workspaces.STAYS,
    }
    status = 400 if form.is_bound else 200
    return render(request, "website/settings/delete_account.html", context, status=status)


def _style_choices(request: MemberRequest) -> list[StyleChoice]:
    """Return the styles to begin with that are offered; the present one is among them."""
    present = request.tenant.default_style
    return list_style_choices(request.tenant, besides=[present] if present else [])
