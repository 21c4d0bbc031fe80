"""What beat starts while the same still runs."""

from contextlib import contextmanager
from threading import Event, Thread

import pytest
from django.db import connection

from adapters import tasks
from adapters.routing import publisher
from core import locks


@contextmanager
def another_pass(action: str):
    """Hold an action's lock, as a pass in another worker does."""
    is_held, may_end = Event(), Event()

    def hold():
        with locks.only_one(action):
            is_held.set()
            may_end.wait(10)
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    assert is_held.wait(10)
    try:
        yield
    finally:
        may_end.set()
        holder.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "work"), [(tasks.republish_stale, "republish_stale"), (tasks.compare_routes, "compare_tables")]
)
def test_routes_are_published_by_one_pass_at_a_time(task, work, monkeypatch):
    passes = []
    monkeypatch.setattr(publisher, work, lambda: passes.append(work))
    with another_pass("republish"):
        task()
        assert passes == []
    task()
    assert passes == [work]
