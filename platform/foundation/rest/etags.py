"""Strong ETags: they tell whether an object is still as a client read it."""

import hashlib
from typing import Any

from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from foundation.rest.problems import PreconditionFailed


def etag_of(data: Any) -> str:
    """Return the ETag of an object as the API shows it."""
    encoder = JSONEncoder(sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(encoder.encode(data).encode()).hexdigest()[:32]}"'


def require_match(request: Request, data: Any) -> None:
    """Raise PreconditionFailed if the request names an ETag in `If-Match` that the object does not have."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    named = {one.strip() for one in wanted.split(",")}
    if etag_of(data) not in named:
        raise PreconditionFailed
