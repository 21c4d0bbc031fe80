"""What the tests of uploads share: a plan with other limits, and what the bucket has."""

import pytest

from adapters import object_store
from metering.models import PlanVersion


def limited(**limits: int) -> None:
    PlanVersion.objects.filter(plan="free").update(**limits)


def keys(prefix: str) -> list[str]:
    return object_store.client.list_keys(prefix)


@pytest.fixture
def empty_bucket(db):
    """Empty the bucket of what other tests left."""
    for prefix in (object_store.POSTED, object_store.SEALED):
        while found := keys(prefix):
            object_store.client.delete_keys(found)
    for upload in object_store.open_uploads():
        object_store.abort_parts(upload.version_id, upload.file, upload.upload_id)
