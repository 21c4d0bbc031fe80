"""What a workspace stores, held against its plan: bytes, versions, open uploads, uploads an hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext

from adapters import object_store
from adapters.models import AdapterVersion, Status, Style
from adapters.validation.limits import ARCHIVE_LIMIT
from core.sizes import format_bytes
from metering.plans import TenantLimits, limits_of
from tenants.models import Tenant

UPLOADS_PER_HOUR = 10  # for each upload that may be open at once
HOUR = timedelta(hours=1)
REMEDY = gettext_noop("Delete versions you no longer need, or upgrade your plan.")


@dataclass(frozen=True)
class Storage:
    """What a workspace stores at a moment, and what its plan allows."""

    limits: TenantLimits
    used_bytes: int
    versions: int
    open_uploads: int
    begun_this_hour: int

    @property
    def uploads_per_hour(self) -> int:
        """How many uploads may be begun in an hour."""
        return self.limits.open_uploads * UPLOADS_PER_HOUR

    @property
    def percent(self) -> float:
        """The share of the bytes that is used, 0 to 100."""
        return min(100.0, 100 * self.used_bytes / max(1, self.limits.stored_bytes))

    @property
    def used(self) -> str:
        """The bytes that are used, for people."""
        return format_bytes(self.used_bytes)

    @property
    def allowed(self) -> str:
        """The bytes that the plan allows, for people."""
        return format_bytes(self.limits.stored_bytes)

    @property
    def present_faults(self) -> list[str]:
        """Why no upload can begin now, however small it is."""
        return self.upload_faults(1)

    def upload_faults(self, upload_bytes: int) -> list[str]:
        """Return why an upload can't begin: a sentence for each limit, with its remedy."""
        faults = self.version_faults()
        if self.open_uploads >= self.limits.open_uploads:
            faults.append(
                ngettext(
                    "{count} upload is open, the maximum on your plan. Complete it, or cancel it on the "
                    "style's page.",
                    "{count} uploads are open, the maximum on your plan. Complete one, or cancel it on "
                    "the style's page.",
                    self.open_uploads,
                ).format(count=self.open_uploads)
            )
        if self.used_bytes + upload_bytes > self.limits.stored_bytes:
            faults.append(
                gettext(
                    "Your plan includes {allowed} of storage: {used} is in use, and these files "
                    "need {size}. {remedy}"
                ).format(
                    allowed=self.allowed,
                    used=self.used,
                    size=format_bytes(upload_bytes),
                    remedy=gettext(REMEDY),
                )
            )
        return faults

    def version_faults(self) -> list[str]:
        """Return why no version can be made at all, by an upload or a conversion."""
        faults = []
        if self.begun_this_hour >= self.uploads_per_hour:
            faults.append(
                ngettext(
                    "{count} upload was started in the last hour, the maximum on your plan. Wait a few "
                    "minutes, or upgrade your plan.",
                    "{count} uploads were started in the last hour, the maximum on your plan. Wait a "
                    "few minutes, or upgrade your plan.",
                    self.begun_this_hour,
                ).format(count=self.begun_this_hour)
            )
        if self.versions >= self.limits.stored_versions:
            faults.append(
                gettext("Your plan includes {most} stored versions, and you have {held}. {remedy}").format(
                    most=intcomma(self.limits.stored_versions),
                    held=intcomma(self.versions),
                    remedy=gettext(REMEDY),
                )
            )
        return faults

    def is_over(self, *, without_bytes: int) -> bool:
        """Return whether more is stored than the plan allows, apart from bytes that will be deleted."""
        return self.used_bytes - without_bytes > self.limits.stored_bytes


@dataclass(frozen=True)
class Holdings:
    """What a workspace holds at a moment."""

    private_styles: int = 0
    stored_versions: int = 0
    stored_bytes: int = 0


def storage_of(tenant: Tenant) -> Storage:
    """Return what a workspace stores now. Exact while its lock of uploads is held."""
    now = timezone.now()
    own = AdapterVersion.objects.filter(style__owner=tenant)
    counted = own.aggregate(
        bytes=Sum("stored_bytes", default=0),
        kept=Count("pk", filter=Q(files_gone_at=None) & ~Q(status=Status.REJECTED)),
        open=Count("pk", filter=Q(status=Status.UPLOADING, handed_in_at=None)),
        begun=Count("pk", filter=Q(created_at__gt=now - HOUR)),
    )
    return Storage(
        limits=limits_of(tenant, now),
        used_bytes=counted["bytes"] + _postable_bytes(own, now),
        versions=counted["kept"],
        open_uploads=counted["open"],
        begun_this_hour=counted["begun"],
    )


def private_styles_of(tenant: Tenant) -> QuerySet[Style]:
    """Return the private styles that count. Those whose uploads were all rejected do not."""
    versions = AdapterVersion.objects.filter(style=OuterRef("pk"))
    is_used = Exists(versions.exclude(status=Status.REJECTED)) | ~Exists(versions)
    return Style.objects.filter(is_used, owner=tenant, is_public=False, retired_at=None)


def count_holdings(tenant: Tenant) -> Holdings:
    """Return how many styles and versions a workspace has, and how much it stores."""
    storage = storage_of(tenant)
    return Holdings(
        private_styles=private_styles_of(tenant).count(),
        stored_versions=storage.versions,
        stored_bytes=storage.used_bytes,
    )


def _postable_bytes(own: QuerySet[AdapterVersion], now: datetime) -> int:
    """Return how many bytes can still be posted for versions that have ended and are no longer stored.

    A presigned form can't be called back, so the bytes that it lets in count until it expires. Parts are not
    accepted once their upload was aborted.
    """
    longest = timedelta(seconds=object_store.form_valid_s(ARCHIVE_LIMIT))
    ended = own.filter(status__in=[Status.REJECTED, Status.RETIRED], stored_bytes=0, multipart={})
    postable_bytes = 0
    for created_at, files in ended.filter(created_at__gt=now - longest).values_list("created_at", "files"):
        for size_bytes in files.values():
            expires_at = created_at + timedelta(seconds=object_store.form_valid_s(size_bytes))
            if expires_at > now:
                postable_bytes += size_bytes
    return postable_bytes
