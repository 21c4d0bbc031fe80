from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from tenants.api_keys.lifecycle import issue_key
from tenants.models import ApiKey, Tenant, User

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
