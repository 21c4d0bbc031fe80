"""Addresses of the management API about a workspace, under /api/v1/."""

from django.urls import path

from tenants.api import (
    billing,
    billing_details,
    credit_notes,
    earnings,
    invitations,
    invoices,
    keys,
    members,
    payments,
    plans,
    requests,
    usage,
    webhooks,
    workspace,
)

urlpatterns = [
    path("workspace", workspace.WorkspaceDetailView.as_view(), name="workspace"),
    path(
        "workspace/stop-deletion",
        workspace.StopDeletionView.as_view(),
        name="stop_deletion",
    ),
    path("workspace/audit-log", workspace.AuditLogView.as_view(), name="audit_log"),
    path("keys", keys.KeysView.as_view(), name="keys"),
    path("keys/<uuid:key_id>", keys.KeyView.as_view(), name="key"),
    path("keys/<uuid:key_id>/rotate", keys.RotateKeyView.as_view(), name="rotate_key"),
    path("members", members.MembersView.as_view(), name="members"),
    path("members/leave", members.LeaveView.as_view(), name="leave_workspace"),
    path("members/<int:member_id>", members.MemberView.as_view(), name="member"),
    path("members/<int:member_id>/transfer", members.TransferView.as_view(), name="transfer_ownership"),
    path("invitations", invitations.InvitationsView.as_view(), name="invitations"),
    path("invitations/<uuid:invitation_id>", invitations.InvitationView.as_view(), name="invitation"),
    path(
        "invitations/<uuid:invitation_id>/resend", invitations.ResendView.as_view(), name="resend_invitation"
    ),
    path("usage", usage.UsageView.as_view(), name="usage"),
    path("usage/events", usage.UsageEventsView.as_view(), name="usage_events"),
    path("requests", requests.RequestsView.as_view(), name="requests"),
    path("events", webhooks.EventsView.as_view(), name="events"),
    path("webhooks", webhooks.EndpointsView.as_view(), name="webhooks"),
    path("webhooks/<uuid:endpoint_id>", webhooks.EndpointView.as_view(), name="webhook"),
    path("webhooks/<uuid:endpoint_id>/rotate", webhooks.RotateEndpointView.as_view(), name="rotate_webhook"),
    path("webhooks/<uuid:endpoint_id>/test", webhooks.EndpointTestView.as_view(), name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable", webhooks.EnableEndpointView.as_view(), name="enable_webhook"),
    path(
        "webhooks/<uuid:endpoint_id>/disable", webhooks.DisableEndpointView.as_view(), name="disable_webhook"
    ),
    path("webhooks/<uuid:endpoint_id>/deliveries", webhooks.DeliveriesView.as_view(), name="deliveries"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>",
        webhooks.DeliveryView.as_view(),
        name="delivery",
    ),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver",
        webhooks.RedeliverView.as_view(),
        name="redeliver",
    ),
    path("billing", billing.BillingView.as_view(), name="billing"),
    path("invoices/<uuid:invoice_id>/pay", payments.PayInvoiceView.as_view(), name="pay_invoice"),
    path("billing/plans", plans.PlansView.as_view(), name="plans"),
    path("billing/plan", plans.PlanView.as_view(), name="plan"),
    path("billing/plan/undo", plans.UndoPlanView.as_view(), name="undo_plan"),
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
