"""What a workspace stores for trainings, held against its plan together with its versions."""

from django.db.models import Q, Sum
from django.utils import timezone

from adapters.public import count_holdings
from core.sizes import format_bytes
from metering.plans import limits_of
from tenants.models import Tenant
from training.errors import StorageFull
from training.models import Document, File

POSTED = Q(status__in=[Document.Status.UPLOADING, Document.Status.UPLOADED])  # then only the text is kept


def require_room(tenant: Tenant, size_bytes: int) -> None:
    """Raise StorageFull if a workspace's plan has no room for what it is about to store.

    Call it in a transaction, before any other lock: two uploads at the same moment are counted one after the
    other.
    """
    if tenant.is_first_party:
        return
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    used_bytes = count_holdings(tenant).stored_bytes + count_stored_bytes(tenant)
    allowed_bytes = limits_of(tenant, timezone.now()).stored_bytes
    if used_bytes + size_bytes > allowed_bytes:
        raise StorageFull(
            allowed=format_bytes(allowed_bytes), used=format_bytes(used_bytes), size=format_bytes(size_bytes)
        )


def count_stored_bytes(tenant: Tenant) -> int:
    """Return how many bytes of files and documents a workspace stores; what is on its way is counted, too."""
    files = File.objects.counted().filter(tenant=tenant).aggregate(bytes=Sum("size_bytes", default=0))
    documents = Document.objects.filter(training__tenant=tenant).aggregate(
        posted=Sum("size_bytes", filter=POSTED, default=0), texts=Sum("text_bytes", default=0)
    )
    return int(files["bytes"] + documents["posted"] + documents["texts"])
