"""Variables of every template."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants.models import Tenant, User


def tenant(request: HttpRequest) -> dict[str, Any]:
    """Return the visitor's tenant, or None. It queries the database only when a template shows it."""
    return {"tenant": SimpleLazyObject(lambda: _find_tenant(request))}


def _find_tenant(request: HttpRequest) -> Tenant | None:
    found: Tenant | None = getattr(request, "tenant", None)  # `member_required` set it
    if found is not None:
        return found
    user = getattr(request, "user", None)
    return Tenant.objects.of(user).first() if isinstance(user, User) else None
