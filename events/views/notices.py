"""The page "Notices", and the link in each mail that switches its kind off without a login."""

from typing import cast

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from events.notices import choices
from events.notices.catalog import ALWAYS_SENT, CHOOSABLE
from tenants import current
from tenants.access import MemberRequest
from tenants.action_view import action_view
from tenants.models import Membership
from tenants.roles import Permission


class NoticesForm(forms.Form):
    """Which kinds of notices a member gets."""

    kinds = forms.MultipleChoiceField(
        label=_("Email me when"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(kind.value, kind.label) for kind in CHOOSABLE],
        error_messages={"invalid_choice": _("Choose from the notifications below.")},
    )


def _notices_page(request: MemberRequest, form: NoticesForm | None) -> HttpResponse:
    muted = _own_membership(request).muted_notices
    wanted = [kind.value for kind in CHOOSABLE if kind not in muted]
    context = {
        "form": form or NoticesForm(initial={"kinds": wanted}),
        "wanted_count": len(wanted),
        "always": sorted(ALWAYS_SENT),
    }
    return render(request, "events/notices.html", context)


@action_view(
    Permission.READ, to_read=Permission.READ, form=NoticesForm, page=_notices_page, to="events:notices"
)
def choose_notices(request: MemberRequest, form: NoticesForm) -> str:
    """Show and change which notices of the workspace a member gets."""
    choices.choose_kinds(_own_membership(request), form.cleaned_data["kinds"])
    return gettext("Saved.")


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
    return render(request, "events/unsubscribe.html", context)


def _own_membership(request: MemberRequest) -> Membership:
    return cast(Membership, current.current_membership(request))  # `member_required` found it
