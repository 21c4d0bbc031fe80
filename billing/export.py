"""What a workspace can be handed of its invoices: tables without secrets, as rows of plain values."""

from billing.invoices.invoices import final_invoices
from billing.models import BillingDetails
from metering.models import InvoiceLine
from tenants.export import Table as ExportTable
from tenants.export import make_table as make_export_table
from tenants.models import Tenant

INVOICE_FIELDS = ("id", "number", "period", "state", "plan", "total_nanousd", "bill_to", "finalized_at")
LINE_FIELDS = ("invoice__number", "kind", "text", "amount_nanousd")


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return what this app knows of a workspace."""
    details = BillingDetails.objects.filter(tenant=tenant)
    invoices = final_invoices(tenant).order_by("period")
    lines = InvoiceLine.objects.filter(invoice__in=final_invoices(tenant)).order_by("invoice__period", "pk")
    return [
        make_export_table("billing_details", details, "name", "address", "tax_id", "reference"),
        make_export_table("invoices", invoices, *INVOICE_FIELDS, "closed_at"),
        make_export_table("invoice_lines", lines, *LINE_FIELDS),
    ]
