"""Addresses of the management API about money, under /api/v1/."""

from django.urls import path

from billing.api import billing, billing_details, credit_notes, earnings, invoices, payments, plans

urlpatterns = [
    path("billing", billing.BillingView.as_view(), name="billing"),
    path("invoices/<uuid:invoice_id>/pay", payments.PayInvoiceView.as_view(), name="pay_invoice"),
    path("billing/plans", plans.PlansView.as_view(), name="plans"),
    path("billing/plan", plans.PlanView.as_view(), name="plan"),
    path("billing/credits", payments.CreditsView.as_view(), name="credits"),
    path("billing/top-ups", payments.TopUpsView.as_view(), name="top_ups"),
    path("billing/auto-top-up", payments.AutoTopUpView.as_view(), name="auto_top_up"),
    path("payments", payments.PaymentsView.as_view(), name="payments"),
    path("payments/<uuid:payment_id>", payments.PaymentView.as_view(), name="payment"),
    path("credit-notes", credit_notes.CreditNotesView.as_view(), name="credit_notes"),
    path("credit-notes/<uuid:note_id>", credit_notes.CreditNoteView.as_view(), name="credit_note"),
    path("credit-notes/<uuid:note_id>/pdf", credit_notes.CreditNotePdfView.as_view(), name="credit_note_pdf"),
    path("earnings", earnings.EarningsView.as_view(), name="earnings"),
    path("billing/details", billing_details.BillingDetailsView.as_view(), name="billing_details"),
    path("invoices", invoices.InvoicesView.as_view(), name="invoices"),
    path("invoices/preview", invoices.InvoicePreviewView.as_view(), name="invoice_preview"),
    path("invoices/<uuid:invoice_id>", invoices.InvoiceView.as_view(), name="invoice"),
    path("invoices/<uuid:invoice_id>/pdf", invoices.InvoicePdfView.as_view(), name="invoice_pdf"),
]
