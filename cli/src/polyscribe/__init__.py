"""Polyscribe's Python client and command line.

from polyscribe import Client

Client().push("out/adapter", style="brand-voice")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from polyscribe.version import __version__

if TYPE_CHECKING:
    from polyscribe.client import Client
    from polyscribe.errors import (
        ApiError,
        Conflict,
        FolderChanged,
        FolderRejected,
        NotAllowed,
        NoTexts,
        NotFound,
        NotLoggedIn,
        NotServingYet,
        PolyscribeError,
        RateLimited,
        TextsRefused,
        TrainingCancelled,
        TrainingFailed,
        TrainingPaused,
        Unavailable,
        Unreachable,
        VersionFailed,
        VersionNotServing,
        VersionRejected,
    )
    from polyscribe.push.parts import PushObserver
    from polyscribe.train import TrainingObserver
    from polyscribe.transport import RetryPolicy, Timeouts

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "FolderChanged",
    "FolderRejected",
    "NoTexts",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "NotServingYet",
    "PolyscribeError",
    "PushObserver",
    "RateLimited",
    "RetryPolicy",
    "TextsRefused",
    "Timeouts",
    "TrainingCancelled",
    "TrainingFailed",
    "TrainingObserver",
    "TrainingPaused",
    "Unavailable",
    "Unreachable",
    "VersionFailed",
    "VersionNotServing",
    "VersionRejected",
    "__version__",
]

MODULES = {
    "Client": "polyscribe.client",
    "PushObserver": "polyscribe.push.parts",
    "RetryPolicy": "polyscribe.transport",
    "Timeouts": "polyscribe.transport",
    "TrainingObserver": "polyscribe.train",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562): an HTTP client takes half a second, and `--version` needs none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES.get(name, "polyscribe.errors")), name)
