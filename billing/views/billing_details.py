"""The page about whom invoices are made out to."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from billing.forms import BillingDetailsForm
from billing.invoices import details
from tenants.public import MemberRequest, Permission, access_of, member_required, requires


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
@requires(Permission.MANAGE_BILLING, to_read=Permission.READ_BILLING)
def edit_details(request: MemberRequest) -> HttpResponse:
    """Show what stands on invoices, and change it."""
    current = details.details_of(request.tenant)
    if request.method != "POST":
        return _page(request, BillingDetailsForm(instance=current))
    form = BillingDetailsForm(request.POST, instance=current)
    if not form.is_valid():
        return _page(request, form, status=400)
    details.set_details(form.cleaned_data, by=access_of(request))
    messages.success(request, gettext("Saved. Your next invoice will use these details."))
    return redirect("billing:billing_details")


def _page(request: MemberRequest, form: BillingDetailsForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form}
    return render(request, "billing/billing_details.html", context, status=status)
