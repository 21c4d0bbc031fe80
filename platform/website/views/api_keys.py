"""Pages about API keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from adapters.public import name_example_model
from core.errors import Conflict
from tenants.accounts import adapter
from tenants.accounts.access import MemberRequest, access_of, member_required
from tenants.accounts.roles import (
    Permission,
    describe_allowed,
    grantable_scopes,
    manageable_keys,
    may_manage_key,
    requires,
)
from tenants.api_keys import actions, listing
from tenants.models import ApiKey, Scope
from website import snippets
from website.key_forms import KeyForm, LimitsForm, RotateForm
from website.welcome import FIRST_PROMPT

MAX_SEARCH = 60  # characters


@require_GET
@member_required
def list_keys(request: MemberRequest) -> HttpResponse:
    """Show the tenant's API keys."""
    return _keys_page(request, _empty_form(request))


@require_POST
@never_cache
@member_required
@requires(Permission.MAKE_KEYS)
def issue_key(request: MemberRequest) -> HttpResponse:
    """Issue a key and show its secret, this once."""
    scopes = grantable_scopes(request.user, request.tenant)
    form = KeyForm(request.POST, tenant=request.tenant, scopes=scopes)
    if not form.is_valid():
        return _keys_page(request, form, status=400)
    with transaction.atomic():
        key, secret = actions.issue_key(
            request.tenant,
            name=form.cleaned_data["name"],
            by=request.user,
            expires_at=form.expires_at(),
            scopes=form.cleaned_data["scopes"],
            **form.limits(),
        )
        access_of(request).audit("api_key.created", key, after={"scopes": key.scopes})
    return _secret_page(request, key, secret)


@require_http_methods(["GET", "POST"])
@member_required
@requires(Permission.MAKE_KEYS, to_read=Permission.MAKE_KEYS)
def limit_key(request: MemberRequest, key_id: UUID) -> HttpResponse:
    """Change the limits of a live key."""
    live_keys = ApiKey.objects.shown().live(timezone.now())
    key = get_object_or_404(live_keys, pk=key_id, tenant=request.tenant)
    _require_manageable(request, key)
    data = request.POST if request.method == "POST" else None
    form = LimitsForm(data, tenant=request.tenant, key=key)
    if not form.is_valid():
        status = 400 if form.is_bound else 200
        return render(request, "website/key_limits.html", {"key": key, "form": form}, status=status)
    with transaction.atomic():
        actions.limit_key(key, **form.limits())
        with override("en"):  # the log is read in several languages
            limits = key.own_limits
        access_of(request).audit("api_key.edited", key, after={"limits": limits})
    messages.success(
        request, gettext("Limits of “{key}” updated, effective immediately.").format(key=key.name)
    )
    return redirect("website:keys")


@require_POST
@member_required
@requires(Permission.MAKE_KEYS)
def revoke_key(request: MemberRequest, key_id: UUID) -> HttpResponse:
    """Revoke a key once its name was typed."""
    key = get_object_or_404(ApiKey.objects.shown(), pk=key_id, tenant=request.tenant)
    _require_manageable(request, key)
    if request.POST.get("name", "").strip() != key.name:
        error = {
            "key_id": key.pk,
            "sentence": gettext("The name doesn't match. Type {key} to revoke it.").format(key=key.name),
        }
        return _keys_page(request, _empty_form(request), status=400, revoke_error=error)
    with transaction.atomic():
        if actions.revoke_key(key):
            access_of(request).audit("api_key.revoked", key)
    messages.success(request, gettext("“{key}” was revoked.").format(key=key.name))
    return redirect("website:keys")


@require_http_methods(["GET", "POST"])
@never_cache
@member_required
@requires(Permission.MAKE_KEYS, to_read=Permission.MAKE_KEYS)
def rotate_key(request: MemberRequest, key_id: UUID) -> HttpResponse:
    """Ask how long the old secret is to work on; then show a new one, this once."""
    live_keys = ApiKey.objects.shown().live(timezone.now()).select_related("tenant")
    key = get_object_or_404(live_keys, pk=key_id, tenant=request.tenant, replaced_by=None)
    _require_manageable(request, key)
    if not set(key.scopes) <= set(grantable_scopes(request.user, request.tenant)):
        raise PermissionDenied(
            gettext("This key has permissions that you can't grant. Ask an owner to rotate it.")
        )
    form = RotateForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        status = 400 if form.is_bound else 200
        return render(request, "website/key_rotate.html", {"key": key, "form": form}, status=status)
    try:
        with transaction.atomic():
            new_key, secret = actions.rotate_key(key, by=request.user, old_lives=form.old_lives())
            access_of(request).audit("api_key.rotated", key, after={"replaced_by": str(new_key.pk)})
    except Conflict as error:
        form.add_error(None, error.message)
        return render(request, "website/key_rotate.html", {"key": key, "form": form}, status=409)
    return _secret_page(request, new_key, secret, old_ends_at=key.expires_at)


@require_POST
@member_required
@requires(Permission.READ)
def end_review(request: MemberRequest) -> HttpResponse:
    """Take away the notice that asks a person to review the account's keys."""
    adapter.end_review_of_keys(request.user)
    return redirect("website:keys")


def _secret_page(
    request: MemberRequest, key: ApiKey, secret: str, *, old_ends_at: datetime | None = None
) -> HttpResponse:
    """Show a new secret, this once, and a call that is answered as it stands if the key may write."""
    may_write = {Scope.INFERENCE, Scope.ADMIN} & set(key.scopes)
    model = name_example_model(request.tenant, key.styles) if may_write else ""
    return _keys_page(
        request,
        _empty_form(request),
        issued_key=key,
        secret=secret,
        old_ends_at=old_ends_at,
        example_model=model,
        example_temperature=snippets.temperature_of(model),
    )


def _empty_form(request: MemberRequest) -> KeyForm:
    return KeyForm(tenant=request.tenant, scopes=grantable_scopes(request.user, request.tenant))


def _require_manageable(request: MemberRequest, key: ApiKey) -> None:
    """Raise PermissionDenied unless the table of roles lets the person manage a key."""
    if not may_manage_key(request.user, request.tenant, key):
        who = describe_allowed(Permission.MANAGE_KEYS)
        raise PermissionDenied(
            gettext("Only the key's creator and the {who} of {tenant} can do this. Ask one of them.").format(
                who=who, tenant=request.tenant.name
            )
        )


def _keys_page(
    request: MemberRequest, form: KeyForm, *, status: int = 200, **extra_context: Any
) -> HttpResponse:
    now = timezone.now()
    api_base = f"{settings.SITE_URL}/v1"
    live_keys = ApiKey.objects.shown().filter(tenant=request.tenant).live(now)
    search = request.GET.get("q", "").strip()[:MAX_SEARCH].replace("\x00", "")
    page = listing.list_keys(request.tenant, now, search=search, page=request.GET.get("page", 1))
    keys = list(page.object_list)
    review_since = request.user.review_keys_since
    context = {
        "keys": keys,
        "rows": listing.month_rows(request.tenant, keys, now),
        "page": page,
        "search": search,
        "manageable": manageable_keys(request.user, request.tenant, keys),
        "active_count": live_keys.count(),
        "to_review": live_keys.filter(created_at__lt=review_since) if review_since else [],
        "form": form,
        "is_empty": not keys and not search,
        "api_base": api_base,
        "first_call": snippets.python_call(api_base, "base", FIRST_PROMPT),
        **extra_context,
    }
    return render(request, "website/keys.html", context, status=status)
