"""Programs of Acme, which owns styles, and of Charlie's Prose, which is a stranger."""

from collections.abc import Callable
from typing import Any

import pytest

from tenants.models import AuditEntry, Tenant
from tests.tenants.api.builders import ApiClient


@pytest.fixture(autouse=True)
def _documented(documented_answers) -> None:
    """Each answer of these tests has a status that the OpenAPI document names."""


@pytest.fixture
def program(with_key: Callable[..., ApiClient]) -> ApiClient:
    """A program of Acme's that may read and change styles, and nothing else."""
    return with_key("styles:read", "styles:write")


@pytest.fixture
def stranger(with_key: Callable[..., ApiClient], charlies: Tenant) -> ApiClient:
    """A program that may do everything in another workspace."""
    return with_key("admin", tenant=charlies)


def logged_actions(tenant: Tenant) -> list[str]:
    """Return what the log of a workspace says was done, in order."""
    return list(AuditEntry.objects.filter(tenant=tenant).order_by("id").values_list("action", flat=True))


def read_all(client: ApiClient, path: str, *, limit: int = 2) -> list[dict[str, Any]]:
    """Return the rows of all pages of a list."""
    rows: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    page = client.get(f"{path}{joint}limit={limit}").json()
    rows += page["data"]
    while page["has_more"]:
        page = client.get(f"{path}{joint}limit={limit}&cursor={page['next_cursor']}").json()
        rows += page["data"]
    return rows
