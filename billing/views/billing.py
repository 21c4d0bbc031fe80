"""Pages about usage and budget."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from accounts import workspaces
from billing.forms import BudgetForm
from billing.month_report import monthly_report, used_of
from billing.views.usage import usage_context
from metering import plans
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.roles import Permission


@require_GET
@member_required
def show_usage(request: MemberRequest) -> HttpResponse:
    """Show what a month has used, this one by default."""
    return _usage_page(request)


def _usage_page(request: MemberRequest, form: BudgetForm | None = None) -> HttpResponse:
    now = timezone.now()
    present, _ = plans.month_versions(request.tenant, now)
    context = usage_context(request, plan_tokens=present.monthly_tokens)
    context["form"] = form or BudgetForm(initial={"budget": request.tenant.monthly_nanousd})
    if context["is_current"]:
        is_whole_month = not context["style"] and not context["days"]
        used = used_of(context["sums"], now.date()) if is_whole_month else None
        context |= monthly_report(request.tenant, now, used=used)
    return render(request, "billing/usage.html", context)


@action_view(Permission.EDIT_WORKSPACE, form=BudgetForm, page=_usage_page, to="billing:usage")
def set_budget(request: MemberRequest, form: BudgetForm) -> str:
    """Set what the workspace may spend a month."""
    budget = form.cleaned_data["budget"]
    workspaces.edit_workspace(access_of(request), {"monthly_nanousd": budget})
    if budget is None:
        return gettext("Budget removed.")
    return gettext("Budget saved, effective immediately.")
