"""What every template knows."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants.models import Tenant, User


def tenant(request: HttpRequest) -> dict[str, Any]:
    """Return the visitor's tenant, or None; asked of the database only when a template shows it."""
    return {"tenant": SimpleLazyObject(lambda: _tenant(request))}


def _tenant(request: HttpRequest) -> Tenant | None:
    known = getattr(request, "tenant", None)
    user = getattr(request, "user", None)
    if known is None and isinstance(user, User):
        return Tenant.objects.of(user).first()
    return known
