import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from tenants.api.views import WorkspaceView
from tenants.api_keys.lifecycle import issue_key
from tenants.models import ApiKey, Tenant, User
from website import api_schema

BASE = "/api/v1/"


@dataclass
class ApiClient:
    """Speaks JSON to the management API, with a key or with a person's session."""

    client: Client
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer; `headers` are names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.secret:
            sent["Authorization"] = f"Bearer {self.secret}"
        data = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(BASE + path, headers=sent, **data)

    def get(self, path: str, **headers: str) -> Any:
        return self.request("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("post", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.request("patch", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("delete", path, **headers)


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


@pytest.fixture(autouse=True)
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
