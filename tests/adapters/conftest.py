import pytest
from kombu import Connection

from config.celery import app
from tenants.models import Tenant, User
from tenants.public import create_tenant


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
