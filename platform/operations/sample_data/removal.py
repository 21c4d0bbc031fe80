"""Find the demo's sample data, and remove it: its workspace is deleted at once, with its made-up people."""

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import deletion
from adapters.models import Style
from core.errors import Conflict, NotFound
from operations.models import SampleData
from tenants.access import Access
from tenants.models import Membership, Tenant, User
from tenants.persons import end_memberships


class NoSampleData(NotFound):
    """This workspace has no sample data."""


class OwnStylesInSample(Conflict):
    """You added styles to the sample workspace. Delete them first, or delete the workspace in Settings."""


def has_sample_data(tenant: Tenant) -> bool:
    """Return whether a workspace is the demo's sample. Sites that serve people have none: no query there."""
    return not settings.SECURE and SampleData.objects.filter(tenant=tenant, removed_at=None).exists()


@transaction.atomic
def remove_sample_data(by: Access) -> None:
    """Delete the sample workspace, the one that paid it a share, and the people of both.

    What is kept of every deleted workspace stays, out of everybody's sight: its ledger and invoices, whose
    numbers may have no gap. Raises NoSampleData, OwnStylesInSample, RoleNotAllowed and InsufficientScope.
    """
    sample = SampleData.objects.select_for_update().filter(tenant=by.tenant, removed_at=None).first()
    if sample is None:
        raise NoSampleData
    # One click must not cost what somebody trained.
    if Style.objects.filter(owner=by.tenant, retired_at=None).exists():
        raise OwnStylesInSample
    deletion.delete_at_once(by)
    # It was never anybody's own, so nobody reads of its deletion for a month.
    end_memberships(Membership.objects.filter(tenant=by.tenant))
    for user in User.objects.filter(pk__in=sample.user_ids):
        deletion.delete_account(user, address=by.address)
    sample.removed_at = timezone.now()
    sample.save(update_fields=["removed_at"])
