"""Whether storage is there, for us and for browsers: what the checks of health ask."""

from uuid import uuid4

import urllib3
from django.conf import settings

from adapters.errors import StorageUnavailable
from adapters.object_store.client import (
    POSTED,
    internal_client,
    presigning_client,
    reach_storage,
    status_client,
)

CONTENT = b"written by the doctor"
TIMEOUT_S = 5.0
VALID_S = 60


def check_storage() -> None:
    """Return when the bucket answers. Raises StorageUnavailable, or NotStored where there is no bucket."""
    with reach_storage(settings.S3_BUCKET, status_client()) as client:
        client.head_bucket(Bucket=settings.S3_BUCKET)


def put_as_browser() -> str:
    """Put and delete an object by a signed address, as a browser would; return what went wrong, or ""."""
    key = f"{POSTED}doctor/{uuid4()}"
    target = {"Bucket": settings.S3_BUCKET, "Key": key}
    url = presigning_client().generate_presigned_url("put_object", Params=target, ExpiresIn=VALID_S)
    try:
        answer = urllib3.request("PUT", url, body=CONTENT, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        return f"{settings.S3_PUBLIC_ENDPOINT_URL} is unreachable: {type(error).__name__}"
    if answer.status != 200:
        return f"it returns {answer.status} for a signed PUT"
    with reach_storage(key) as client:
        client.delete_object(Bucket=settings.S3_BUCKET, Key=key)
    return ""


def refused_origin(origin: str) -> str:
    """Return why a browser may not put from an origin (CORS), or "". Raises StorageUnavailable."""
    url = f"{browser_url()}/{settings.S3_BUCKET}/{POSTED}doctor"
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        answer = urllib3.request("OPTIONS", url, headers=headers, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise StorageUnavailable from error
    allowed = answer.headers.get("access-control-allow-origin", "")
    if allowed in ("*", origin):
        return ""
    return f"its preflight response allows {allowed or 'no origin'}"


def browser_url() -> str:
    """Return the address that browsers reach."""
    endpoint = settings.S3_PUBLIC_ENDPOINT_URL or internal_client().meta.endpoint_url
    return endpoint.rstrip("/")
