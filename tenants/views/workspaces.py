"""The page that creates a workspace."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from tenants.accounts.access import access_of_person
from tenants.accounts.forms import CreateWorkspaceForm
from tenants.accounts.workspaces import create_tenant
from tenants.models import Tenant, User


@login_required
@require_http_methods(["GET", "POST"])
def create_workspace(request: HttpRequest) -> HttpResponse:
    """Let a person who has no workspace create one."""
    user = request.user
    if not isinstance(user, User) or Tenant.objects.of(user).exists():
        return redirect(settings.LOGIN_REDIRECT_URL)
    form = CreateWorkspaceForm(request.POST or None)
    if not form.is_valid():
        status = 400 if form.is_bound else 200
        return render(request, "tenants/create_workspace.html", {"form": form}, status=status)
    with transaction.atomic():
        tenant = create_tenant(user, name=form.cleaned_data["workspace"])
        address = request.META.get("REMOTE_ADDR") or None
        access_of_person(user, tenant, address=address).audit("workspace.created", tenant)
    return redirect("welcome")
