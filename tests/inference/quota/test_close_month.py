"""A month is closed only when none of its requests is open."""

import pytest

from core import months
from core import valkey as names
from inference import tasks

LAST_MONTH = months.before(months.current())

pytestmark = pytest.mark.django_db


@pytest.fixture
def paying(acme, monkeypatch):
    """Acme, whose last month costs something."""
    drafted = []
    monkeypatch.setattr(tasks.current_app, "send_task", lambda _, args, **__: drafted.extend(args))
    return acme, drafted


def open_request(valkey, tenant, period):
    valkey.zadd(names.leases_key(), {f"{tenant.pk} req_1": 1})
    valkey.hset(names.hold_key(tenant.pk, "req_1"), "period", period)


def test_an_open_request_of_last_month_keeps_it_open(valkey, paying):
    acme, drafted = paying
    open_request(valkey, acme, LAST_MONTH)
    tasks.close_month()
    assert LAST_MONTH not in drafted
    assert months.before(LAST_MONTH) in drafted


def test_requests_of_this_month_do_not(valkey, paying):
    acme, drafted = paying
    open_request(valkey, acme, months.current())
    tasks.close_month()
    assert drafted[0] == LAST_MONTH
