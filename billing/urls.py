"""Addresses of the pages about usage, plans and money."""

from django.urls import path

from billing.views import billing, invoices, plans, usage

app_name = "billing"

urlpatterns = [
    path("usage/", billing.show_usage, name="usage"),
    path("usage/requests/", usage.list_requests, name="requests"),
    path("usage/requests/<slug:request_id>/", usage.show_request, name="request"),
    path("usage/requests.csv", usage.export_requests, name="export_requests"),
    path("usage/budget/", billing.set_budget, name="set_budget"),
    path("earnings/", billing.show_earnings, name="earnings"),
    path("prices/", plans.show_prices, name="prices"),
    path("invoices/", invoices.list_invoices, name="invoices"),
    path("invoices/<uuid:invoice_id>/", invoices.show_invoice, name="invoice"),
    path("invoices/<uuid:invoice_id>/pdf/", invoices.download_invoice, name="invoice_pdf"),
    path("invoices/credit-notes/<uuid:note_id>/", invoices.show_credit_note, name="credit_note"),
    path("invoices/credit-notes/<uuid:note_id>/pdf/", invoices.download_credit_note, name="credit_note_pdf"),
    path("invoices/<uuid:invoice_id>/pay/", billing.pay_invoice, name="pay_invoice"),
    path("billing/plan/", plans.show_plan, name="plan"),
    path("billing/plan/change/", plans.change_plan, name="change_plan"),
    path("billing/plan/keep/", plans.keep_plan, name="keep_plan"),
    path("billing/credits/", billing.show_credits, name="credits"),
    path("billing/top-up/", billing.top_up, name="top_up"),
    path("billing/auto-top-up/", billing.set_auto_top_up, name="auto_top_up"),
    path("billing/payments/<uuid:payment_id>/", billing.show_payment, name="payment"),
    path("billing/portal/", billing.open_portal, name="payment_portal"),
    path("billing/stripe/", billing.receive_stripe_event, name="stripe_events"),
    path("billing/details/", billing.edit_details, name="billing_details"),
]
