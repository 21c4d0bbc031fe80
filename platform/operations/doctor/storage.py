"""Storage: the bucket, and what a browser may do with it."""

from collections.abc import Iterator

from django.conf import settings

from adapters.object_store import check_storage, put_as_browser, refused_origin
from core.errors import NotFound
from operations.doctor.findings import Finding, fault, fault_or_ok, ok


def check_bucket() -> Iterator[Finding]:
    """Look for the bucket, put an object as a browser would, and ask whether pages may."""
    try:
        check_storage()
    except NotFound:
        yield fault(
            "storage",
            f"the bucket {settings.S3_BUCKET} doesn't exist",
            "Create it as a private bucket, or fix S3_BUCKET.",
        )
        return
    yield ok("storage", f"the bucket {settings.S3_BUCKET} is available")
    yield fault_or_ok(
        "uploads",
        put_as_browser(),
        "S3_PUBLIC_ENDPOINT_URL must be the URL browsers use, and a proxy there must forward "
        "the Host header.",
        well=f"a signed PUT to {settings.S3_PUBLIC_ENDPOINT_URL} works",
    )
    yield fault_or_ok(
        "uploads",
        refused_origin(settings.SITE_URL),
        f"Add a CORS rule to the bucket that allows PUT and POST from {settings.SITE_URL}.",
        well=f"pages on {settings.SITE_URL} can upload",
    )
