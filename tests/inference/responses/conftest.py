"""The real site over a socket with a fake engine behind its gateway, and OpenAI's client before it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

import openai
import pytest
import redis

from core import months
from core import valkey as names
from inference.proxy import runtime
from metering.quota_sync.snapshot import publish_snapshot
from tenants.models import Tenant
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import Account, open_tables, publish_names
from tests.inference.serving import serving
from tests.tenants.builders import issue_key


@dataclass
class Site:
    """Where the site listens, the engine behind it, and the style `poetry` for whoever has a key."""

    valkey: redis.Redis
    url: str = ""
    engine: FakeVllm = field(default_factory=FakeVllm)
    account: Account | None = None

    def admit(self, tenant: Tenant, days: int | None = 30) -> str:
        """Let a workspace store responses and use the style; return a key's secret."""
        Tenant.objects.filter(pk=tenant.pk).update(responses_kept_days=days)
        _, secret = issue_key(tenant, name="laptop", by=None)
        publish_snapshot(tenant.pk)
        publish_names(tenant.pk, {"poetry": self.account.written("poetry")})
        return secret

    def keep(self, tenant: Tenant, days: int | None) -> None:
        Tenant.objects.filter(pk=tenant.pk).update(responses_kept_days=days)
        publish_snapshot(tenant.pk)

    def client(self, secret: str, *, max_retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=secret, max_retries=max_retries, timeout=60)

    def asked(self) -> list[tuple[str, str]]:
        """What the engine got last: role and content of each message."""
        return [(said["role"], said["content"]) for said in self.engine.received[-1]["messages"]]


@pytest.fixture
def site(transactional_db, valkey, acme: Tenant, settings, monkeypatch) -> Iterator[Site]:
    # PostgreSQL knows no such style.
    monkeypatch.setattr(runtime, "publish_library", lambda tenant_id: None)
    settings.RESPONSES_STORE = True
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    found = Site(valkey)
    application = import_module("config.asgi").site  # loaded late: it builds the site's middleware
    valkey.set(names.epoch_key(), "whole")
    open_tables()
    found.account = Account(valkey, acme.pk, acme.pk, months.current())
    with serving(application, found.engine, partial(found.account.offer, "poetry")) as found.url:
        yield found


@pytest.fixture
def acme_client(site: Site, acme: Tenant) -> Iterator[openai.OpenAI]:
    with site.client(site.admit(acme)) as client:
        yield client


@pytest.fixture
def stranger(site: Site, charlies: Tenant) -> Iterator[openai.OpenAI]:
    with site.client(site.admit(charlies)) as client:
        yield client


@pytest.fixture
def refused() -> Callable[..., dict]:
    """Calls something, and returns the error that it is refused with."""

    def call(status: int, function: Callable, *args: object, **kwargs: object) -> dict:
        with pytest.raises(openai.APIStatusError) as info:
            function(*args, **kwargs)
        assert info.value.status_code == status, info.value.body
        return info.value.body

    return call
