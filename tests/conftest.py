"""Alice owns Acme, Bob is her teammate, Charlie is a stranger with a studio of his own.

Tests run beside real services: `python -m stack run --services -- pytest tests/tenants`.
"""

import gc
import ipaddress
import os
import runpy
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client, TransactionTestCase, override_settings
from psycopg.pq import TransactionStatus

from accounts.workspaces import create_tenant
from core import valkey as valkey_names
from tenants.models import Membership, Tenant, User
from tests.held_locks import refuse_asking_under_locks
from tests.migrated_rows import MigratedRows
from tests.profiles import register_profiles
from tests.waiting import eventually

pytest_plugins = [
    "tests.tiers",
    "tests.plugins.adapters",
    "tests.plugins.billing",
    "tests.plugins.site",
    "tests.plugins.tenants",
    "tests.plugins.training",
]
register_profiles()


def pytest_configure(config):
    config.addinivalue_line("markers", "proxy_settings(**changes): fields of the gateway's ProxySettings")
    # WhiteNoise: static files come from the finders here: nothing was collected.
    config.addinivalue_line("filterwarnings", "ignore:No directory at:UserWarning")
    if not hasattr(config, "workerinput"):
        # Those of this tree: a checkout has only the sources of its catalogues.
        runpy.run_path(str(Path(__file__).parents[1] / "locale" / "compile.py"), run_name="__main__")
    if config.option.dist != "no":
        # For workers, which start after this. Journeys' workers have none: they share one stack.
        os.environ.setdefault("PYTEST_PLUGINS", "tests.worker_services")
    # django-unfold 0.110 has yet to take up a signature of Django 6.1.
    config.addinivalue_line("filterwarnings", "ignore:Overriding get_action_choices")


def pytest_runtest_setup() -> None:
    """Give up a connection on which a test timed out in a query: all tests after it would fail on it."""
    held = connection.connection
    if held is not None and held.info.transaction_status == TransactionStatus.ACTIVE:
        connection.close()


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of garbage collections, each of which would look at all of it."""
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """Copy the database that the stack has migrated (dev/stack/template_database.py), if there is one."""
    # A pool that exists by now has connections to the database that is no test's.
    if connection._connection_pools:
        connection.close()
        connection.close_pool()
    template = os.environ.get("TEST_DATABASE_TEMPLATE")
    if template:
        connection.settings_dict["TEST"] |= {"TEMPLATE": template, "MIGRATE": False}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Let tests that really commit leave the rows that migrations laid, and no other."""
    with django_db_blocker.unblock():
        migrated = MigratedRows.read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: migrated.restore())
        yield
    # The live server may still answer what the last page asked when its browser went, and PostgreSQL drops no
    # database that has a session.
    connection.close()
    if connection._connection_pools:
        with suppress(pytest.fail.Exception):  # then it is refused, which says more
            eventually(_is_pool_whole)


def _is_pool_whole() -> bool:
    found = connection.pool.get_stats()
    return found["pool_available"] == found["pool_size"]


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Refuse connections to other machines: no test may need the internet."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise RuntimeError(f"a test tried to reach {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_password_hasher() -> Iterator[None]:
    """Hash passwords in microseconds: Django's own hasher takes most of a second on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_service_is_asked_under_a_lock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        refuse_asking_under_locks(patch)
        yield


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@pytest.fixture
def valkey():
    """The real Valkey, emptied."""
    client = valkey_names.client()
    client.flushdb()
    return client


@pytest.fixture
def alice(db) -> User:
    """The owner of Acme."""
    user = User.objects.create_user("alice@example.org")
    create_tenant(user, name="Acme")
    return user


@pytest.fixture
def acme(alice: User) -> Tenant:
    return Tenant.objects.get(slug="acme")


@pytest.fixture
def bob(acme: Tenant) -> User:
    """A member of Acme."""
    user = User.objects.create_user("bob@example.org")
    Membership.objects.create(user=user, tenant=acme)
    return user


@pytest.fixture
def charlie(db) -> User:
    """A stranger to Acme, with a tenant of his own."""
    user = User.objects.create_user("charlie@example.org")
    create_tenant(user, name="Charlie's Prose")
    return user


@pytest.fixture
def charlies(charlie: User) -> Tenant:
    return Tenant.objects.get(slug="charlies-prose")


@pytest.fixture
def operator(db) -> User:
    """Somebody who may do everything in the console."""
    return User.objects.create_superuser("operator@example.org")


def _logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def alice_client(alice: User) -> Client:
    return _logged_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return _logged_in(bob)


@pytest.fixture
def charlie_client(charlie: User) -> Client:
    return _logged_in(charlie)


@pytest.fixture
def operator_client(operator: User) -> Client:
    return _logged_in(operator)
