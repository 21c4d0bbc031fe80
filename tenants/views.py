"""Pages of the studio: API keys, usage, and founding a tenant."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from tenants.accounts import adapter, workspaces
from tenants.accounts.access import MemberRequest, member_required
from tenants.accounts.roles import KeyAction, is_allowed, manageable
from tenants.api_keys import lifecycle as api_keys
from tenants.billing import report
from tenants.forms import BudgetForm, CreateTenantForm, KeyForm, LimitsForm
from tenants.models import ApiKey, Tenant, User


@require_GET
@member_required
def keys(request: MemberRequest) -> HttpResponse:
    """Show the tenant's API keys."""
    return _keys_page(request, KeyForm(tenant=request.tenant))


@require_POST
@never_cache
@member_required
def issue_key(request: MemberRequest) -> HttpResponse:
    """Make a key and show its secret, this once."""
    _require(request, KeyAction.ISSUE)
    form = KeyForm(request.POST, tenant=request.tenant)
    if not form.is_valid():
        return _keys_page(request, form, status=400)
    key, secret = api_keys.issue_key(
        request.tenant,
        name=form.cleaned_data["name"],
        by=request.user,
        expires_at=form.expires_at(),
        **form.limits(),
    )
    return _keys_page(request, KeyForm(tenant=request.tenant), issued_key=key, secret=secret)


@require_http_methods(["GET", "POST"])
@member_required
def limit_key(request: MemberRequest, key_id: UUID) -> HttpResponse:
    """Change the limits of a key in use."""
    live = ApiKey.objects.shown().live(timezone.now())
    key = get_object_or_404(live, pk=key_id, tenant=request.tenant)
    _require(request, KeyAction.LIMIT, key)
    given = request.POST if request.method == "POST" else None
    form = LimitsForm(given, tenant=request.tenant, key=key)
    if not form.is_valid():
        status = 400 if form.is_bound else 200
        return render(request, "tenants/key_limits.html", {"key": key, "form": form}, status=status)
    api_keys.limit_key(key, **form.limits())
    messages.success(request, f"The limits of “{key.name}” hold from the next request on.")
    return redirect("tenants:keys")


@require_POST
@member_required
def revoke_key(request: MemberRequest, key_id: UUID) -> HttpResponse:
    """End a key when its name was typed."""
    key = get_object_or_404(ApiKey.objects.shown(), pk=key_id, tenant=request.tenant)
    _require(request, KeyAction.REVOKE, key)
    if request.POST.get("name", "").strip() != key.name:
        error = {"key_id": key.pk, "sentence": f"That is not its name. Type {key.name} to revoke it."}
        return _keys_page(request, KeyForm(tenant=request.tenant), status=400, revoke_error=error)
    api_keys.revoke_key(key)
    messages.success(request, f"“{key.name}” is revoked.")
    return redirect("tenants:keys")


@require_POST
@member_required
def keys_reviewed(request: MemberRequest) -> HttpResponse:
    """Take the notice away that asks a new owner of the account to review its keys."""
    adapter.end_review_of_keys(request.user)
    return redirect("tenants:keys")


@require_GET
@member_required
def usage(request: MemberRequest) -> HttpResponse:
    """Show what this month has used."""
    return _usage_page(request, BudgetForm(initial={"budget": request.tenant.monthly_nanousd}))


@require_POST
@member_required
def set_budget(request: MemberRequest) -> HttpResponse:
    """Set what the tenant may spend a month; its owners may."""
    if not workspaces.is_owner(request.user, request.tenant):
        raise PermissionDenied(f"Only an owner of {request.tenant.name} can change its budget.")
    form = BudgetForm(request.POST)
    if not form.is_valid():
        return _usage_page(request, form, status=400)
    workspaces.set_budget(request.tenant, form.cleaned_data["budget"])
    messages.success(request, "The budget holds from the next request on.")
    return redirect("tenants:usage")


@login_required
@require_http_methods(["GET", "POST"])
def found(request: HttpRequest) -> HttpResponse:
    """Let somebody who has no tenant found one."""
    user = request.user
    if not isinstance(user, User) or Tenant.objects.of(user).exists():
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = CreateTenantForm(request.POST or None)
    if not form.is_valid():
        return render(request, "tenants/found.html", {"form": form}, status=400 if form.is_bound else 200)
    workspaces.create_tenant(user, name=form.cleaned_data["workspace"])
    return redirect(settings.LOGIN_REDIRECT_URL)


def _require(request: MemberRequest, action: KeyAction, key: ApiKey | None = None) -> None:
    """Raise PermissionDenied unless the table of permissions allows it."""
    if not is_allowed(request.user, request.tenant, action, key):
        raise PermissionDenied(
            f"Only who made this key, or an owner of {request.tenant.name}, can {action} it. Ask an owner."
        )


def _keys_page(request: MemberRequest, form: KeyForm, *, status: int = 200, **more: Any) -> HttpResponse:
    own = ApiKey.objects.shown().filter(tenant=request.tenant)
    since = request.user.review_keys_since
    allowed = manageable(request.user, request.tenant, list(own))
    context = {
        "keys": own,
        "may_limit": allowed[KeyAction.LIMIT],
        "may_revoke": allowed[KeyAction.REVOKE],
        "active_count": own.live(timezone.now()).count(),
        "to_review": own.live(timezone.now()).filter(created_at__lt=since) if since else [],
        "form": form,
        "api_base": f"{settings.SITE_URL}/v1",
        **more,
    }
    return render(request, "tenants/keys.html", context, status=status)


def _usage_page(request: MemberRequest, form: BudgetForm, *, status: int = 200) -> HttpResponse:
    context = report.monthly_report(request.tenant, timezone.now())
    context |= {"form": form, "is_owner": workspaces.is_owner(request.user, request.tenant)}
    return render(request, "tenants/usage.html", context, status=status)
