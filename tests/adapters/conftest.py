import pytest
from kombu import Connection

from accounts.workspaces import create_tenant
from adapters.models import AdapterVersion, Engine, Style
from config.celery import app
from tenants.models import Tenant, User
from tests.adapters.builders import described, known


@pytest.fixture
def broker_down(monkeypatch):
    """Take Celery's broker away."""
    options = app.conf.broker_transport_options
    unreachable = Connection("redis://127.0.0.1:9/0", transport_options=options)
    monkeypatch.setattr(app, "connection_for_write", lambda: unreachable)


@pytest.fixture
def doras(db) -> Tenant:
    """A workspace that has nothing to do with Acme."""
    return create_tenant(User.objects.create_user("dora@example.org"), name="Dora")


@pytest.fixture
def noir(acme: Tenant, engine: Engine) -> Style:
    """A private style of Acme's, which serves and may be offered: its author and its licence are named."""
    return described(acme, engine)


@pytest.fixture
def version(acme: Tenant, engine: Engine) -> AdapterVersion:
    """A version of Acme's that serves, as a row only."""
    return known(acme, "noir", engine)


@pytest.fixture
def versions(acme: Tenant, engine: Engine) -> list[AdapterVersion]:
    """Three serving versions of one style of Acme's, of which the first is live."""
    return [known(acme, "noir", engine, auto_promote=is_first) for is_first in (True, False, False)]
