"""Errors of the management API's common parts, apart from REST framework: the data plane knows them, too."""

from core import errors


class PreconditionFailed(errors.DomainError):
    """The object has changed since you read it. Get it again and send its new ETag as If-Match."""


class TooManyRequests(errors.DomainError):
    """Too many requests: this key is limited to {limit} requests per minute. Try again in {retry_s} s."""

    code = "rate_limit_exceeded"
