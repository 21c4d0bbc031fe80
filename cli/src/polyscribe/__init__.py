"""Polyscribe's Python client and command line.

from polyscribe import Client

Client().push("out/adapter", style="brand-voice")
"""

from polyscribe.client import Client
from polyscribe.errors import (
    ApiError,
    Conflict,
    FolderChanged,
    FolderRejected,
    NotAllowed,
    NotFound,
    NotLoggedIn,
    NotServingYet,
    PolyscribeError,
    RateLimited,
    Unavailable,
    Unreachable,
    VersionFailed,
    VersionNotServing,
    VersionRejected,
)
from polyscribe.push.observer import PushObserver
from polyscribe.transport import RetryPolicy, Timeouts

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "FolderChanged",
    "FolderRejected",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "NotServingYet",
    "PolyscribeError",
    "PushObserver",
    "RateLimited",
    "RetryPolicy",
    "Timeouts",
    "Unavailable",
    "Unreachable",
    "VersionFailed",
    "VersionNotServing",
    "VersionRejected",
    "__version__",
]
