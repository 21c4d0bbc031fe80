"""Strong ETags: they tell whether an object is still as a client read it."""

import hashlib
from collections.abc import Mapping

from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from core.rest.errors import PreconditionFailed

# What is shown once, or changes by use: an edit that read it before is still of the same object.
NOT_COMPARED = ("secret", "upload", "last_used_at")


def etag_of(data: Mapping[str, object]) -> str:
    """Return the ETag of an object as the API shows it."""
    compared = {name: value for name, value in data.items() if name not in NOT_COMPARED}
    encoder = JSONEncoder(sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(encoder.encode(compared).encode()).hexdigest()[:32]}"'


def require_match(request: Request, data: Mapping[str, object]) -> None:
    """Raise PreconditionFailed if the request names an ETag in `If-Match` that the object does not have."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    named = {one.strip() for one in wanted.split(",")}
    if etag_of(data) not in named:
        raise PreconditionFailed
