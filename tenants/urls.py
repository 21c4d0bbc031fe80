"""Addresses of the studio's pages about a workspace."""

from django.urls import path

from tenants.views import (
    api_keys,
    billing,
    billing_details,
    earnings,
    invoices,
    notices,
    payments,
    prices,
    webhooks,
    workspaces,
)

app_name = "tenants"

urlpatterns = [
    path("keys/", api_keys.list_keys, name="keys"),
    path("keys/reviewed/", api_keys.end_review, name="keys_reviewed"),
    path("keys/issue/", api_keys.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", api_keys.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/revoke/", api_keys.revoke_key, name="revoke_key"),
    path("webhooks/", webhooks.list_endpoints, name="webhooks"),
    path("webhooks/create/", webhooks.create_endpoint, name="create_webhook"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.show_endpoint, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/edit/", webhooks.edit_endpoint, name="edit_webhook"),
    path("webhooks/<uuid:endpoint_id>/secret/", webhooks.rotate_secret, name="rotate_webhook_secret"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.send_test, name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable/", webhooks.enable_endpoint, name="enable_webhook"),
    path("webhooks/<uuid:endpoint_id>/disable/", webhooks.disable_endpoint, name="disable_webhook"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.delete_endpoint, name="delete_webhook"),
    path("webhooks/deliveries/<uuid:delivery_id>/again/", webhooks.redeliver, name="redeliver_webhook"),
    path("notices/", notices.choose_notices, name="notices"),
    path("notices/unsubscribe/<str:token>/", notices.unsubscribe, name="unsubscribe"),
    path("usage/", billing.show_usage, name="usage"),
    path("usage/budget/", billing.set_budget, name="set_budget"),
    path("earnings/", earnings.show_earnings, name="earnings"),
    path("prices/", prices.show_prices, name="prices"),
    path("invoices/", invoices.list_invoices, name="invoices"),
    path("invoices/<uuid:invoice_id>/", invoices.show_invoice, name="invoice"),
    path("invoices/<uuid:invoice_id>/pdf/", invoices.download_invoice, name="invoice_pdf"),
    path("invoices/credit-notes/<uuid:note_id>/", invoices.show_credit_note, name="credit_note"),
    path("invoices/credit-notes/<uuid:note_id>/pdf/", invoices.download_credit_note, name="credit_note_pdf"),
    path("invoices/<uuid:invoice_id>/pay/", payments.pay_invoice, name="pay_invoice"),
    path("billing/credits/", payments.show_credits, name="credits"),
    path("billing/top-up/", payments.top_up, name="top_up"),
    path("billing/auto-top-up/", payments.set_auto_top_up, name="auto_top_up"),
    path("billing/payments/<uuid:payment_id>/", payments.show_payment, name="payment"),
    path("billing/portal/", payments.open_portal, name="payment_portal"),
    path("billing/stripe/", payments.receive_stripe_event, name="stripe_events"),
    path("billing/details/", billing_details.edit_details, name="billing_details"),
    path("found/", workspaces.create_workspace, name="create_workspace"),
]
