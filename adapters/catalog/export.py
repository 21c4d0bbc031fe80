"""What a workspace can be handed of its styles: a row a version."""

from adapters.models import AdapterVersion
from tenants.export import Table as ExportTable
from tenants.export import make_table as make_export_table
from tenants.models import Tenant

EXPORTED_COLUMNS = (
    "style__slug",
    "style__name",
    "style__description",
    "style__author",
    "style__licence",
    "style__is_public",
    "number",
    "status",
    "rank",
    "size_bytes",
    "sha256",
    "created_at",
    "files_gone_at",
)


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return the versions of a workspace's own styles."""
    versions = AdapterVersion.objects.filter(style__owner=tenant).order_by("style__slug", "number")
    return [make_export_table("styles", versions, *EXPORTED_COLUMNS)]
