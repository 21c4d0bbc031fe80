"""The page "Notices", and the link in each mail that switches its kind off without a login."""

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from tenants.accounts import current
from tenants.accounts.access import MemberRequest, member_required
from tenants.accounts.roles import Permission, requires
from tenants.models import Membership
from tenants.notices import choices
from tenants.notices.catalog import ALWAYS_SENT, CHOOSABLE
from tenants.notices.forms import NoticesForm


@require_http_methods(["GET", "POST"])
@member_required
@requires(Permission.READ)
def choose_notices(request: MemberRequest) -> HttpResponse:
    """Show and change which notices of the workspace a member gets."""
    membership = cast(Membership, current.current_membership(request))  # `member_required` found it
    wanted = [kind.value for kind in CHOOSABLE if kind not in membership.muted_notices]
    form = NoticesForm(initial={"kinds": wanted})
    if request.method == "POST":
        form = NoticesForm(request.POST)
        if form.is_valid():
            choices.choose_kinds(membership, form.cleaned_data["kinds"])
            messages.success(request, gettext("Saved."))
            return redirect("tenants:notices")
    context = {"form": form, "wanted_count": len(wanted), "always": sorted(ALWAYS_SENT)}
    return render(request, "tenants/notices.html", context, status=400 if form.is_bound else 200)


# The token is what lets a person in: mail programs post here without a session (RFC 8058).
@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Switch one kind of notices off, or on again. Only a POST changes it: scanners of mail follow links."""
    try:
        membership, kind = choices.read_token(token)
    except choices.BadLink as error:
        raise Http404(error.message) from None
    if request.method == "POST":
        choices.switch(membership, kind, is_wanted=request.POST.get("wanted") == "1")
    context = {
        "kind": kind,
        "workspace": membership.tenant,
        "is_wanted": kind not in membership.muted_notices,
        "is_done": request.method == "POST",
    }
    return render(request, "tenants/unsubscribe.html", context)
