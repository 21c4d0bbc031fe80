"""Addresses of the management API about money, under /api/v1/."""

from billing.api import billing, invoices, payments

urlpatterns = [
    *billing.BillingViewSet.routes("billing"),
    *billing.DetailsViewSet.routes("billing/details"),
    *billing.PlanViewSet.routes("billing"),
    *payments.CreditViewSet.routes("billing"),
    *payments.AutoTopUpViewSet.routes("billing/auto-top-up"),
    *payments.PaymentViewSet.routes("payments"),
    *invoices.InvoiceViewSet.routes("invoices"),
    *invoices.CreditNoteViewSet.routes("credit-notes"),
    *payments.EarningsViewSet.routes("earnings"),
]
