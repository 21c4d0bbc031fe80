"""Fixtures of tests/tenants that other folders' tests use as well."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from metering.ledger import Event
from tenants.access import Access
from tenants.api.views import WorkspaceView
from tenants.models import ApiKey, Membership, Tenant, User
from tests.tenants.api.builders import ApiClient
from tests.tenants.builders import Clock, issue_key, make_event
from website import api_schema


@pytest.fixture
def event() -> Callable[..., Event]:
    """Makes usage events as the data plane does; facts that matter are given by name."""
    return make_event


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """A clock that only the test moves."""
    made = Clock()
    monkeypatch.setattr(timezone, "now", made)
    return made


@pytest.fixture
def with_key(acme: Tenant, valkey) -> Callable[..., ApiClient]:
    """Makes a client of Acme's with a new key that has some scopes."""

    def make(*scopes: str, tenant: Tenant = acme, **limits: Any) -> ApiClient:
        name = f"program {ApiKey.objects.count()}"
        owner = User.objects.filter(memberships__tenant=tenant, memberships__role="owner").first()
        _, secret = issue_key(tenant, name=name, by=owner, scopes=scopes or ("admin",), **limits)
        return ApiClient(Client(), secret)

    return make


@pytest.fixture
def admin(with_key) -> ApiClient:
    """A program that may do everything in Acme."""
    return with_key("admin")


@pytest.fixture
def documented_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test to which the API gave a status that its OpenAPI document does not name there."""
    finalize = WorkspaceView.finalize_response
    undocumented = []

    def finalize_documented(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        final = finalize(view, request, *args, **kwargs)
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", request.resolver_match.route)
        described = api_schema.document()["paths"][path].get(request.method.lower())
        if described and final.status_code != 500 and str(final.status_code) not in described["responses"]:
            undocumented.append(f"{request.method} {path}: {final.status_code} {final.data}")
        return final

    monkeypatch.setattr(WorkspaceView, "finalize_response", finalize_documented)
    yield
    assert not undocumented


@pytest.fixture
def owner(alice, acme) -> Access:
    """Alice, acting in Acme."""
    return Access(tenant=acme, user=alice, role=Membership.Role.OWNER)


@pytest.fixture
def stranger(charlie, charlies) -> Access:
    """Charlie, acting in a workspace of his own."""
    return Access(tenant=charlies, user=charlie, role=Membership.Role.OWNER)


@pytest.fixture
def bobs(bob, acme) -> Membership:
    """Bob's place in Acme."""
    return Membership.objects.get(user=bob, tenant=acme)
