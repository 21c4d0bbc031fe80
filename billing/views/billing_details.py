"""The page about whom invoices are made out to."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from billing.forms import BillingDetailsForm
from billing.invoices import details
from tenants.access import MemberRequest, access_of
from tenants.action_view import action_view
from tenants.roles import Permission


def _page(request: MemberRequest, form: BillingDetailsForm | None) -> HttpResponse:
    form = form or BillingDetailsForm(instance=details.details_of(request.tenant))
    return render(request, "billing/billing_details.html", {"form": form})


@action_view(
    Permission.MANAGE_BILLING,
    to_read=Permission.READ_BILLING,
    form=lambda request: BillingDetailsForm(request.POST, instance=details.details_of(request.tenant)),
    page=_page,
    to="billing:billing_details",
)
def edit_details(request: MemberRequest, form: BillingDetailsForm) -> str:
    """Show what stands on invoices, and change it."""
    details.set_details(form.cleaned_data, by=access_of(request))
    return gettext("Saved. Your next invoice will use these details.")
