import pytest
from kombu import Connection

from adapters.models import Engine, Style
from config.celery import app
from tenants.models import Tenant, User
from tenants.public import create_tenant
from tests.adapters.builders import described


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
