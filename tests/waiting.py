"""Wait for what another process or thread does."""

import time
from collections.abc import Callable

import pytest

POLL_S = 0.05
PATIENCE_S = 60  # what has to happen takes milliseconds where nobody else uses the machine


def retry[Result](
    action: Callable[[], Result], *errors: type[Exception], within_s: float = PATIENCE_S
) -> Result:
    """Return what an action returns, once it raises none of some errors."""
    until = time.monotonic() + within_s
    while True:
        try:
            return action()
        except errors:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_S)


def eventually(
    check: Callable[[], object],
    *,
    within_s: float = PATIENCE_S,
    what: str | Callable[[], str] = "",
    every_s: float = POLL_S,
) -> None:
    """Ask a check again and again until it holds; fail with what did not come, or what there is instead."""
    until = time.monotonic() + within_s
    while not check():
        if time.monotonic() > until:
            missing = what() if callable(what) else what or check.__name__
            pytest.fail(f"after {within_s:.0f} s: {missing}")
        time.sleep(every_s)
