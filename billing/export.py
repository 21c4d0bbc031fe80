"""What a workspace can be handed of its invoices: tables without secrets, as rows of plain values."""

from billing.models import BillingDetails
from tenants.models import Invoice, InvoiceLine, Tenant
from tenants.public import ExportTable, make_export_table


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return what this app knows of a workspace."""
    return [
        make_export_table(
            "billing_details",
            BillingDetails.objects.filter(tenant=tenant),
            "name", "address", "tax_id", "reference",
        ),
        make_export_table(
            "invoices",
            Invoice.objects.filter(tenant=tenant).exclude(state=Invoice.State.DRAFT).order_by("period"),
            "id", "number", "period", "state", "plan", "total_nanousd", "bill_to", "finalized_at",
            "closed_at",
        ),
        make_export_table(
            "invoice_lines",
            InvoiceLine.objects.filter(invoice__tenant=tenant).exclude(invoice__state=Invoice.State.DRAFT)
            .order_by("invoice__period", "pk"),
            "invoice__number", "kind", "text", "amount_nanousd",
        ),
    ]  # fmt: skip
