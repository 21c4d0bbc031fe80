"""While an operator looks at a workspace as its owner sees it, nothing outside the console is changed."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.guards import guarded_by
from operations.console.operators import has_second_factor
from tenants.impersonation import end_impersonation, read_impersonation

READS = ("GET", "HEAD", "OPTIONS")
REFUSED = _("You're viewing this workspace as its owner, so nothing can be changed. Stop viewing first.")
CLOSED = _("This is not available while you view a workspace as its owner: it's for the owner only.")


def _refuse_changes(request: HttpRequest) -> HttpResponse | None:
    """Return the refusal of what would change something during a look; end one that is over."""
    look = read_impersonation(request)
    if look is None:
        return None
    if look.is_over or not has_second_factor(request):
        reason = "Time expired." if look.is_over else "The second factor was removed."
        end_impersonation(request, reason=reason)
        return None
    if request.path == reverse("account_logout") and request.method == "POST":
        end_impersonation(request, reason="Logged out.")
    if request.path.startswith(_open_paths()):
        return None
    if request.method not in READS:
        return _refuse(request, str(REFUSED))
    if request.path.startswith(_closed_paths()):
        return _refuse(request, str(CLOSED))
    return None


def _refuse(request: HttpRequest, sentence: str) -> HttpResponse:
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"errors": {"__all__": [sentence]}}, status=403)
    return render(request, "looking.html", {"refused": sentence}, status=403)


def _open_paths() -> tuple[str, ...]:
    """Return where forms work all the same: the console, and the log-out."""
    return reverse("admin:index"), reverse("account_logout")


def _closed_paths() -> tuple[str, ...]:
    """Return where reading gives away too much.

    Addresses of webhooks are as good as passwords, the API signs uploads, and the portal opens an account
    at the payment provider's.
    """
    return "/api/", reverse("events:webhooks"), reverse("billing:payment_portal")


read_only_looks = guarded_by(_refuse_changes)  # it stands after the middleware of sessions
