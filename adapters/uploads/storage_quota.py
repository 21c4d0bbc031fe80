"""What a workspace stores, held against its plan: bytes, versions, open uploads, uploads an hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Sum
from django.utils import timezone

from adapters import object_store
from adapters.models import AdapterVersion, Status
from adapters.validation.limits import ARCHIVE_LIMIT
from tenants.public import Limits, Tenant, limits_of

BEGUN_AN_HOUR = 10  # uploads that may be begun an hour, for each that may be open at once
MIB, GIB = 1024**2, 1024**3
HOUR = timedelta(hours=1)
REMEDY = "Delete versions that you do without, or change the plan."


@dataclass(frozen=True)
class Storage:
    """What a workspace stores at a moment, and what its plan allows."""

    limits: Limits
    used_bytes: int
    versions: int
    open_uploads: int
    begun_this_hour: int

    @property
    def begun_an_hour(self) -> int:
        """How many uploads may be begun an hour."""
        return self.limits.open_uploads * BEGUN_AN_HOUR

    @property
    def percent(self) -> float:
        """The share of the bytes that is used, 0 to 100."""
        return min(100.0, 100 * self.used_bytes / max(1, self.limits.stored_bytes))

    @property
    def used(self) -> str:
        """The bytes that are used, for people."""
        return in_gb(self.used_bytes)

    @property
    def allowed(self) -> str:
        """The bytes that the plan allows, for people."""
        return in_gb(self.limits.stored_bytes)

    @property
    def standing_faults(self) -> list[str]:
        """Why no upload can begin now, however small it is."""
        return self.faults(1)

    def faults(self, more_bytes: int) -> list[str]:
        """Return why an upload of so many bytes can't begin, a sentence a limit, each with its remedy."""
        faults = self.faults_of_a_version()
        if self.open_uploads >= self.limits.open_uploads:
            faults.append(
                f"{self.open_uploads} uploads are open, as many as your plan allows at once. "
                "Finish one of them, or cancel it on its style's page."
            )
        if fault := self.fault_of_bytes(more_bytes):
            faults.append(fault)
        return faults

    def faults_of_a_version(self) -> list[str]:
        """Return why no version can be begun at all, whatever it is made from."""
        faults = []
        if self.begun_this_hour >= self.begun_an_hour:
            faults.append(
                f"{self.begun_this_hour} uploads were begun within the last hour, as many as your plan "
                "allows. Wait some minutes, or change the plan."
            )
        if self.versions >= self.limits.stored_versions:
            faults.append(
                f"Your plan keeps {self.limits.stored_versions:,} versions and you have {self.versions:,}. "
                f"{REMEDY}"
            )
        return faults

    def fault_of_bytes(self, more_bytes: int) -> str:
        """Return why so many more bytes can't be kept, or ""."""
        if self.used_bytes + more_bytes <= self.limits.stored_bytes:
            return ""
        return (
            f"Your plan stores {self.allowed}: {self.used} are used, and these files have "
            f"{in_gb(more_bytes)}. {REMEDY}"
        )

    def is_over(self, *, without_bytes: int) -> bool:
        """Return whether more is stored than the plan allows, apart from bytes that are about to go."""
        return self.used_bytes - without_bytes > self.limits.stored_bytes


def storage_of(tenant: Tenant) -> Storage:
    """Return what a workspace stores now; exact for who holds its lock of uploads."""
    now = timezone.now()
    own = AdapterVersion.objects.filter(style__owner=tenant)
    kept = own.filter(files_gone_at=None).exclude(status=Status.REJECTED)
    stored = own.aggregate(all=Sum("stored_bytes"))["all"] or 0
    return Storage(
        limits=limits_of(tenant, now),
        used_bytes=stored + _postable_bytes(own, now),
        versions=kept.count(),
        open_uploads=own.filter(status=Status.UPLOADING, handed_in_at=None).count(),
        begun_this_hour=own.filter(created_at__gt=now - HOUR).count(),
    )


def in_gb(count: int) -> str:
    """Return a count of bytes as people read it, by the units of all pages."""
    return f"{count / GIB:,.1f} GB" if count >= GIB / 10 else f"{count / MIB:,.1f} MB"


def _postable_bytes(own: QuerySet[AdapterVersion], now: datetime) -> int:
    """Return how many bytes can still be posted for versions that have ended and are not stored any more.

    Their forms can't be called back, so what they let in counts until they expire.
    """
    longest = timedelta(seconds=object_store.form_valid_s(ARCHIVE_LIMIT))
    ended = own.filter(
        status__in=[Status.REJECTED, Status.RETIRED], stored_bytes=0, created_at__gt=now - longest
    )
    postable = 0
    for created_at, files in ended.values_list("created_at", "files"):
        for size in files.values():
            if created_at + timedelta(seconds=object_store.form_valid_s(size)) > now:
                postable += size
    return postable
