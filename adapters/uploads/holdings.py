"""What a workspace holds that its plan limits, counted as uploads are held against it."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from adapters.models import AdapterVersion, Status, Style
from adapters.uploads import storage_quota
from tenants.models import Tenant


@dataclass(frozen=True)
class Holdings:
    """What a workspace holds at a moment."""

    private_styles: int = 0
    stored_versions: int = 0
    stored_bytes: int = 0


def private_styles_of(tenant: Tenant) -> QuerySet[Style]:
    """Return the private styles that count. Those whose uploads were all rejected do not."""
    versions = AdapterVersion.objects.filter(style=OuterRef("pk"))
    is_used = Exists(versions.exclude(status=Status.REJECTED)) | ~Exists(versions)
    return Style.objects.filter(is_used, owner=tenant, is_public=False, retired_at=None)


def count_holdings(tenant: Tenant) -> Holdings:
    """Return how many styles and versions a workspace has, and how much it stores."""
    storage = storage_quota.storage_of(tenant)
    return Holdings(
        private_styles=private_styles_of(tenant).count(),
        stored_versions=storage.versions,
        stored_bytes=storage.used_bytes,
    )
