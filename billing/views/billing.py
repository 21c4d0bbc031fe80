"""Pages about usage and budget."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from billing.forms import BudgetForm
from billing.month_report import monthly_report, used_of
from billing.views.usage import usage_context
from tenants.metering import plans
from tenants.public import MemberRequest, Permission, access_of, member_required, requires, workspaces


@require_GET
@member_required
def show_usage(request: MemberRequest) -> HttpResponse:
    """Show what a month has used, this one by default."""
    return _usage_page(request, BudgetForm(initial={"budget": request.tenant.monthly_nanousd}))


@require_POST
@member_required
@requires(Permission.EDIT_WORKSPACE)
def set_budget(request: MemberRequest) -> HttpResponse:
    """Set what the workspace may spend a month."""
    form = BudgetForm(request.POST)
    if not form.is_valid():
        return _usage_page(request, form, status=400)
    budget = form.cleaned_data["budget"]
    workspaces.edit_workspace(access_of(request), {"monthly_nanousd": budget})
    is_set = budget is not None
    said = gettext("Budget saved, effective immediately.") if is_set else gettext("Budget removed.")
    messages.success(request, said)
    return redirect("billing:usage")


def _usage_page(request: MemberRequest, form: BudgetForm, *, status: int = 200) -> HttpResponse:
    now = timezone.now()
    present, _ = plans.month_versions(request.tenant, now)
    context = {**usage_context(request, plan_tokens=present.monthly_tokens), "form": form}
    if context["is_current"]:
        is_whole_month = not context["style"] and not context["days"]
        used = used_of(context["sums"], now.date()) if is_whole_month else None
        context |= monthly_report(request.tenant, now, used=used)
    return render(request, "billing/usage.html", context, status=status)
