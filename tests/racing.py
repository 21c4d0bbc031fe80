"""Actions that begin at one moment, in threads that each have a database connection of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connections

from tests.waiting import PATIENCE_S


def race[Result](*actions: Callable[[], Result]) -> list[Result]:
    """Return what the actions return, in their order, once all have ended. Raises the first error among them.

    `race(*[action] * 4)` starts the same action four times.
    """
    start = Barrier(len(actions))

    def run(action: Callable[[], Result]) -> Result:
        start.wait(PATIENCE_S)
        try:
            return action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(run, action) for action in actions]]
