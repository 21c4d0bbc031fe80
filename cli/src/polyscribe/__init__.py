"""Polyscribe's Python client and command line.

from polyscribe import Client

Client().push("out/adapter", style="brand-voice")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from polyscribe.errors import ApiError as ApiError
from polyscribe.errors import Conflict as Conflict
from polyscribe.errors import FolderChanged as FolderChanged
from polyscribe.errors import FolderRejected as FolderRejected
from polyscribe.errors import NotAllowed as NotAllowed
from polyscribe.errors import NoTexts as NoTexts
from polyscribe.errors import NotFound as NotFound
from polyscribe.errors import NotLoggedIn as NotLoggedIn
from polyscribe.errors import NotServingYet as NotServingYet
from polyscribe.errors import PolyscribeError as PolyscribeError
from polyscribe.errors import RateLimited as RateLimited
from polyscribe.errors import TextsRefused as TextsRefused
from polyscribe.errors import TrainingCancelled as TrainingCancelled
from polyscribe.errors import TrainingFailed as TrainingFailed
from polyscribe.errors import TrainingPaused as TrainingPaused
from polyscribe.errors import Unavailable as Unavailable
from polyscribe.errors import Unreachable as Unreachable
from polyscribe.errors import VersionFailed as VersionFailed
from polyscribe.errors import VersionNotServing as VersionNotServing
from polyscribe.errors import VersionRejected as VersionRejected
from polyscribe.version import __version__ as __version__

if TYPE_CHECKING:
    from polyscribe.client import Client as Client
    from polyscribe.client import PushObserver as PushObserver
    from polyscribe.client import RetryPolicy as RetryPolicy
    from polyscribe.client import Timeouts as Timeouts
    from polyscribe.client import TrainingObserver as TrainingObserver

LOADED_LATER = ("Client", "PushObserver", "RetryPolicy", "Timeouts", "TrainingObserver")


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562): an HTTP client takes half a second, and `--version` needs none."""
    if name not in LOADED_LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("polyscribe.client"), name)
