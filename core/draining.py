"""Whether this process is about to be stopped, and proxies should send it nothing new."""

from pathlib import Path

from django.conf import settings

STATUS = "draining"


def is_draining() -> bool:
    """Return whether the file that DRAINING_PATH names is there."""
    return bool(settings.DRAINING_PATH) and Path(settings.DRAINING_PATH).exists()
