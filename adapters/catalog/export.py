"""What a workspace can be handed of its styles: a row a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from adapters.models import AdapterVersion
from tenants.models import Tenant

COLUMNS = (
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


@dataclass(frozen=True)
class StyleTable:
    """The columns, and rows that are read a few at a time."""

    columns: Sequence[str]
    rows: QuerySet[Any, Any]


def list_exported(tenant: Tenant) -> StyleTable:
    """Return the versions of a workspace's own styles."""
    versions = AdapterVersion.objects.filter(style__owner=tenant).order_by("style__slug", "number")
    return StyleTable(COLUMNS, versions.values_list(*COLUMNS))
