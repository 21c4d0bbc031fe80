"""Create a workspace, and go from one to another."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts import deleted_workspaces, free_plan, workspaces
from accounts.forms import CreateWorkspaceForm
from adapters.public import select_first_party_styles
from core.page_failures import failures_shown
from tenants import current
from tenants.access import access_of_person, ask_to_log_in
from tenants.models import Tenant, User


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
        "deleted": deleted_workspaces.list_deleted(user),
        "refusal": None if form.is_bound else free_plan.find_refusal(user),
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
