"""No wait for the database is without end."""

import threading

import pytest
from django.db import OperationalError, connection, transaction

from adapters.engines.client import open_pool
from adapters.object_store.client import list_keys
from config.variables import DATABASE_LOCK_TIMEOUT_S
from core import locks
from tenants.models import User
from tests.waiting import PATIENCE_S


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_lock_ends_with_an_error():
    held, over = threading.Event(), threading.Event()

    def holding() -> None:
        with transaction.atomic():
            locks.one_at_a_time("an action")
            held.set()
            over.wait(PATIENCE_S)
        connection.close()

    holder = threading.Thread(target=holding)
    holder.start()
    assert held.wait(PATIENCE_S)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == (f"{DATABASE_LOCK_TIMEOUT_S}s",)
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
            locks.one_at_a_time("an action")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
        over.set()
        holder.join()


@pytest.mark.django_db
def test_no_statement_runs_without_end():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("30s",)


@pytest.mark.parametrize("transaction_of_the_test", [True, False])
def test_whoever_asks_a_service_under_a_lock_is_told(request, valkey, transaction_of_the_test):
    """All tests of the rooms run under this guard: no code holds a lock while it waits for a service."""
    request.getfixturevalue("db" if transaction_of_the_test else "transactional_db")
    services = [
        valkey.ping,
        lambda: open_pool("http://127.0.0.1:9", timeout_s=1).request("GET", "/health"),
        lambda: list_keys("nothing/"),
    ]
    with transaction.atomic():
        assert not User.objects.exists()
        valkey.ping()  # a transaction that only read holds nothing up
        locks.one_at_a_time("an action")
        for ask in services:
            with pytest.raises(pytest.fail.Exception, match="asked while a transaction holds the lock of"):
                ask()
    valkey.ping()
    with transaction.atomic():
        User.objects.create_user("zoe@example.org")
        with pytest.raises(pytest.fail.Exception, match="lock of: INSERT"):
            valkey.ping()
