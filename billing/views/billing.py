"""Pages about usage, budget, earnings, credits and payments; and the address that Stripe sends events to."""

from uuid import UUID, uuid4

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from accounts import workspaces
from billing import author_shares
from billing.forms import AutoTopUpForm, BillingDetailsForm, BudgetForm, TopUpForm
from billing.invoices import details
from billing.invoices.invoices import final_invoices
from billing.models import Payment
from billing.month_report import monthly_report, used_of
from billing.payments import auto_top_up, payments, providers
from billing.payments.auto_top_up import CreditLeft, list_credits_left
from billing.payments.providers import ProviderUnavailable
from billing.payments.stripe_provider import BadSignature, verify_event
from billing.views.usage import usage_context
from core import months
from core.money import usd, usd_at_a_glance
from core.pages import failures_shown
from metering import plans
from metering.allowance import allowance_of
from metering.models import CreditGrant
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.current import read_impersonation
from tenants.roles import Permission, requires


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


MAX_SHOWN = 240  # rows: five years of four styles


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_earnings(request: MemberRequest) -> HttpResponse:
    """Show what each style earned in each month, and what was paid out of it as credits."""
    tenant = request.tenant
    earned = []
    for row in author_shares.newest_earnings_of(tenant.pk, MAX_SHOWN):
        earned.append((row, usd_at_a_glance(row.share_nanousd)))
    paid = []
    grants = CreditGrant.objects.filter(tenant=tenant, source=CreditGrant.Source.AUTHOR_SHARE)
    for grant in grants.order_by("-pk")[:MAX_SHOWN]:
        paid.append((grant, usd_at_a_glance(grant.amount_nanousd)))
    context = {
        "earned": earned,
        "paid": paid,
        "unpaid": usd_at_a_glance(author_shares.unpaid_nanousd(tenant.pk, until=months.current())),
    }
    return render(request, "billing/earnings.html", context)


PAYMENTS_SHOWN = 20
MAX_EVENT_BYTES = 512 * 1024


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_credits(request: MemberRequest) -> HttpResponse:
    """Show what is left of the credits, and buy some."""
    return _credits_page(request)


def _credits_page(request: MemberRequest, form: TopUpForm | AutoTopUpForm | None = None) -> HttpResponse:
    now = timezone.now()
    left = list_credits_left(request.tenant)
    account = payments.account_of(request.tenant)
    provider = payments.current_provider()
    own = Payment.objects.filter(tenant=request.tenant).order_by("-created_at")[:PAYMENTS_SHOWN]
    context = {
        "grants": [_grant_row(one) for one in left],
        "left": usd_at_a_glance(sum(one.nanousd for one in left)) if left else "",
        "top_up": TopUpForm(initial={"payment": uuid4()}),
        "automatic": AutoTopUpForm(initial=auto_top_up.values_of(account)),
        "account": account,
        "is_paused": providers.is_paused(account),
        "takes_cards": provider.takes_cards,
        "payments": [(payment, usd(payment.amount_nanousd)) for payment in own],
        "plan": plans.plan_version_at(request.tenant, now).plan.name,
        "overage": allowance_of(request.tenant, now).overage.value,
        "max_top_ups": auto_top_up.MAX_TOP_UPS,
        "is_waiting": account.retry_at is not None and account.retry_at > now,
    }
    if form:
        context["top_up" if isinstance(form, TopUpForm) else "automatic"] = form
    return render(request, "billing/credits.html", context)


@action_view(Permission.MANAGE_BILLING, form=TopUpForm, page=_credits_page)
def top_up(request: MemberRequest, form: TopUpForm) -> HttpResponse:
    """Begin a payment for credits, and lead to its page."""
    amount_nanousd, payment_id = form.cleaned_data["amount_nanousd"], form.cleaned_data["payment"]
    payment = payments.begin_top_up(amount_nanousd, by=access_of(request), payment_id=payment_id)
    return redirect("billing:payment", payment.pk)


@action_view(Permission.MANAGE_BILLING, form=AutoTopUpForm, page=_credits_page, to="billing:credits")
def set_auto_top_up(request: MemberRequest, form: AutoTopUpForm) -> str:
    """Say when credits are bought without asking."""
    account = auto_top_up.set_auto_top_up(**form.cleaned_data, by=access_of(request))
    if account.threshold_nanousd is None:
        return gettext("Automatic top-ups are off.")
    return gettext("Automatic top-ups are on.")


@action_view(Permission.MANAGE_BILLING, to="billing:invoice")
def pay_invoice(request: MemberRequest, invoice_id: UUID) -> HttpResponse:
    """Begin the payment of an invoice, and lead to its page."""
    invoice = get_object_or_404(final_invoices(request.tenant), pk=invoice_id)
    payment = payments.begin_invoice_payment(invoice, by=access_of(request))
    return redirect("billing:payment", payment.pk)


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_payment(request: MemberRequest, payment_id: UUID) -> HttpResponse:
    """Show a payment, as the provider has it now: people come back to here from the provider's page."""
    own = Payment.objects.filter(tenant=request.tenant).select_related("tenant", "invoice")
    payment = get_object_or_404(own, pk=payment_id)
    is_unanswered = False
    if payment.state == Payment.State.OPEN and read_impersonation(request) is None:
        try:
            payments.refresh_payment(payment)
        except ProviderUnavailable:
            is_unanswered = True
        payment.refresh_from_db()
    context = {
        "payment": payment,
        "amount": usd(payment.amount_nanousd),
        "is_unanswered": is_unanswered,
        "instructions": settings.PAYMENT_INSTRUCTIONS,
    }
    return render(request, "billing/payment.html", context)


@require_GET
@member_required
@requires(to_read=Permission.MANAGE_BILLING)
def open_portal(request: MemberRequest) -> HttpResponse:
    """Lead to the provider's page about cards and receipts."""
    account = payments.account_of(request.tenant)
    back_url = request.build_absolute_uri("/billing/credits/")
    with failures_shown(request):
        return redirect(payments.current_provider().portal_url(account, back_url=back_url))
    return redirect("billing:credits")


@csrf_exempt
@require_POST
def receive_stripe_event(request: HttpRequest) -> HttpResponse:
    """Take an event of Stripe's: 200 once it had its effect, else Stripe sends it again."""
    if not (settings.STRIPE_SECRET_KEY and settings.STRIPE_WEBHOOK_SECRET):
        raise Http404
    if int(request.headers.get("Content-Length") or 0) > MAX_EVENT_BYTES:
        return HttpResponse(status=413)
    signature = request.headers.get("Stripe-Signature", "")
    try:
        event = verify_event(request.body, signature, secret=settings.STRIPE_WEBHOOK_SECRET)
        if event:
            payments.receive_event(event)
    except BadSignature:
        return HttpResponse(status=400)
    except ProviderUnavailable:
        return HttpResponse(status=503)
    return HttpResponse(status=200)


def _grant_row(left: CreditLeft) -> dict[str, object]:
    last_period = left.grant.last_period
    return {
        "grant": left.grant,
        "left": usd_at_a_glance(left.nanousd),
        "amount": usd_at_a_glance(left.grant.amount_nanousd),
        "last_month": months.bounds(last_period)[0] if last_period else None,
    }
