"""Pages about API keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Sum
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import adapter
from adapters.public import name_example_model
from core import months, rates
from core.errors import DomainError, TooManyRequests
from core.pages import failures_shown
from keys import actions, device_logins, snippets
from keys.actions import grantable_scopes
from keys.device_logins import LoginOver, TooManyCodes, WaitingLogin
from keys.forms import KeyForm, LimitsForm, RotateForm
from keys.snippets import FIRST_PROMPT
from metering.models import UsageDaily
from tenants import current
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.models import ApiKey, Scope, Tenant
from tenants.roles import Permission, requires

PAGE_SIZE = 50
MAX_SEARCH = 60  # characters


@dataclass(frozen=True)
class KeyRow:
    """One key of the list, and its month."""

    key: ApiKey
    requests: int
    cost_nanousd: int


def _empty_form(request: MemberRequest) -> KeyForm:
    return KeyForm(tenant=request.tenant, scopes=actions.grantable_scopes(access_of(request)))


def _keys_page(
    request: MemberRequest, form: KeyForm, *, status: int = 200, **extra_context: Any
) -> HttpResponse:
    """Show a page of the keys that people made, live ones first, with what each cost this month."""
    now = timezone.now()
    by = access_of(request)
    shown = ApiKey.objects.shown().filter(tenant=request.tenant)
    live_keys = shown.live(now)
    search = request.GET.get("q", "").strip()[:MAX_SEARCH].replace("\x00", "")
    listed = shown.search(search).live_first(now).select_related("created_by")
    page = Paginator(listed, PAGE_SIZE).get_page(request.GET.get("page", 1))
    keys = list(page.object_list)
    review_since = request.user.review_keys_since
    api_base = f"{settings.SITE_URL}/v1"
    context = {
        "keys": keys,
        "rows": _month_rows(request.tenant, keys, now),
        "page": page,
        "search": search,
        "manageable": {key.pk for key in keys if actions.may_manage(by, key)},
        "active_count": live_keys.count(),
        "to_review": live_keys.filter(created_at__lt=review_since) if review_since else [],
        "form": form,
        "is_empty": not keys and not search,
        "api_base": api_base,
        "first_call": snippets.python_call(api_base, "base", FIRST_PROMPT),
        **extra_context,
    }
    return render(request, "keys/keys.html", context, status=status)


def _month_rows(tenant: Tenant, keys: list[ApiKey], now: datetime) -> list[KeyRow]:
    """Return the keys with what they used in the month that holds a moment."""
    start, end = months.bounds(months.period_of(now))
    days = UsageDaily.objects.filter(tenant=tenant, key__in=keys, day__gte=start.date(), day__lt=end.date())
    sums = days.order_by().values_list("key").annotate(Sum("requests"), Sum("cost_nanousd"))
    used = {key_id: (requests, cost) for key_id, requests, cost in sums}
    rows = []
    for key in keys:
        requests, cost_nanousd = used.get(key.pk, (0, 0))
        rows.append(KeyRow(key, requests, cost_nanousd))
    return rows


@require_GET
@member_required
def list_keys(request: MemberRequest) -> HttpResponse:
    """Show the tenant's API keys."""
    return _keys_page(request, _empty_form(request))


@never_cache
@action_view(
    Permission.MAKE_KEYS,
    form=lambda request: KeyForm(
        request.POST, tenant=request.tenant, scopes=actions.grantable_scopes(access_of(request))
    ),
    page=_keys_page,
)
def issue_key(request: MemberRequest, form: KeyForm) -> HttpResponse:
    """Create a key and show its secret, this once."""
    key, secret = actions.create_key(access_of(request), name=form.cleaned_data["name"], **form.chosen())
    return _secret_page(request, key, secret)


def _limits_page(request: MemberRequest, form: LimitsForm | None, key_id: UUID) -> HttpResponse:
    if form is None:
        form = LimitsForm(tenant=request.tenant, key=_find_manageable(request, key_id))
    return render(request, "keys/key_limits.html", {"key": form.key, "form": form})


@action_view(
    Permission.MAKE_KEYS,
    form=lambda request, key_id: LimitsForm(
        request.POST, tenant=request.tenant, key=_find_manageable(request, key_id)
    ),
    page=_limits_page,
    to="keys:keys",
    to_read=Permission.MAKE_KEYS,
)
def limit_key(request: MemberRequest, form: LimitsForm, key_id: UUID) -> str:
    """Change the limits of a live key."""
    assert form.key
    actions.edit_key(form.key, by=access_of(request), **form.chosen())
    return gettext("Limits of “{key}” updated, effective immediately.").format(key=form.key.name)


@action_view(Permission.MAKE_KEYS, to="keys:keys")
def revoke_key(request: MemberRequest, key_id: UUID) -> HttpResponse | str:
    """Revoke a key once its name was typed."""
    key = get_object_or_404(ApiKey.objects.shown(), pk=key_id, tenant=request.tenant)
    if request.POST.get("name", "").strip() != key.name:
        sentence = gettext("The name doesn't match. Type {key} to revoke it.").format(key=key.name)
        error = {"key_id": key.pk, "sentence": sentence}
        return _keys_page(request, _empty_form(request), status=400, revoke_error=error)
    actions.revoke_key(key, by=access_of(request))
    return gettext("“{key}” was revoked.").format(key=key.name)


def _rotate_page(request: MemberRequest, form: RotateForm | None, key_id: UUID) -> HttpResponse:
    key = _find_manageable(request, key_id, replaced_by=None)
    return render(request, "keys/key_rotate.html", {"key": key, "form": form or RotateForm()})


@never_cache
@action_view(
    Permission.MAKE_KEYS, form=RotateForm, page=_rotate_page, to="keys:keys", to_read=Permission.MAKE_KEYS
)
def rotate_key(request: MemberRequest, form: RotateForm, key_id: UUID) -> HttpResponse:
    """Ask how long the old secret is to work on; then show a new one, this once."""
    key = _find_manageable(request, key_id, replaced_by=None)
    new_key, secret = actions.rotate_key(key, by=access_of(request), old_lives=form.old_lives())
    return _secret_page(request, new_key, secret, old_ends_at=key.expires_at)


@require_POST
@member_required
@requires(Permission.READ)
def end_review(request: MemberRequest) -> HttpResponse:
    """Take away the notice that asks a person to review the account's keys."""
    adapter.end_review_of_keys(request.user)
    return redirect("keys:keys")


def _find_manageable(request: MemberRequest, key_id: UUID, **facts: Any) -> ApiKey:
    """Return a live key of the workspace. Raises Http404; PermissionDenied for one of somebody else."""
    live_keys = ApiKey.objects.shown().live(timezone.now())
    key = get_object_or_404(live_keys, pk=key_id, tenant=request.tenant, **facts)
    with failures_shown(request):
        actions.require_manageable(access_of(request), key)
    return key


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


# The page on which a member confirms the login of a command line.

CODES_PER_MINUTE = 10  # that a person may try
MAX_CODE = 20  # characters


@require_GET
@never_cache
@member_required
@requires(to_read=Permission.MAKE_KEYS)
def show_login(request: MemberRequest) -> HttpResponse:
    """Ask for a code; once it is entered, show the program's request."""
    code = request.GET.get("code", "")[:MAX_CODE]
    login = None
    error = ""
    if code:
        try:
            login = _find(request, code)
        except DomainError as failure:
            error = failure.message
    return _page(request, login, code=code, error=error)


@require_POST
@member_required
@requires(Permission.MAKE_KEYS)
def decide_login(request: MemberRequest) -> HttpResponse:
    """Approve or deny a login."""
    code = request.POST.get("code", "")[:MAX_CODE]
    scopes = request.POST.getlist("scopes")
    if request.POST.get("workspace", request.tenant.slug) != request.tenant.slug:
        raise Http404  # another workspace was opened meanwhile, in another tab
    login = None
    try:
        login = _find(request, code)
        if request.POST.get("decision") == device_logins.APPROVED:
            device_logins.approve_login(login, scopes, by=access_of(request))
            said = gettext("“{name}” is now logged in to {tenant}. Return to your terminal.")
            messages.success(request, said.format(name=login.name, tenant=request.tenant.name))
        else:
            device_logins.deny_login(login, by=access_of(request))
            messages.success(request, gettext("The login of “{name}” was denied.").format(name=login.name))
    except DomainError as failure:
        still_waits = None if isinstance(failure, LoginOver) else login
        return _page(request, still_waits, code=code, error=failure.message, status=400)
    return redirect("keys:keys")


def _find(request: MemberRequest, code: str) -> WaitingLogin:
    """Return the login of a code, of which a person may try a few a minute.

    Raises LoginOver and TooManyCodes.
    """
    try:
        rates.take(f"login code:{request.user.pk}", CODES_PER_MINUTE)
    except TooManyRequests as failure:
        raise TooManyCodes from failure
    return device_logins.find_login(code)


def _page(
    request: MemberRequest, login: WaitingLogin | None, *, code: str, error: str, status: int = 200
) -> HttpResponse:
    grantable = grantable_scopes(access_of(request))
    asked = [Scope(scope) for scope in login.scopes] if login else []
    others = [one.tenant for one in current.list_memberships(request) if one.tenant_id != request.tenant.pk]
    context = {
        "login": login,
        "code": code,
        "error": error,
        "scopes": [scope for scope in asked if scope in grantable],
        "left_out": [scope for scope in asked if scope not in grantable],
        "others": others,
    }
    return render(request, "keys/connect.html", context, status=status)
