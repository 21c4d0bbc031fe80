"""What beat starts while the same still runs."""

import pytest

from adapters import tasks
from adapters.routing import publisher
from tests.adapters.builders import locked_elsewhere


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "work"), [(tasks.republish_stale, "republish_stale"), (tasks.compare_routes, "compare_tables")]
)
def test_routes_are_published_by_one_pass_at_a_time(task, work, monkeypatch):
    passes = []
    monkeypatch.setattr(publisher, work, lambda: passes.append(work))
    with locked_elsewhere("republish"):
        task()
        assert passes == []
    task()
    assert passes == [work]
