"""What operators may do to rows of a kind, whatever their own rights are."""

from django.db.models import Model
from django.http import HttpRequest


class NoDelete:
    """Rows that stay."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Immutable(NoDelete):
    """Rows that operators add and never edit."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(Immutable):
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SuperusersOnly(NoDelete):
    """Rows that give rights or take a second factor away."""

    def _is_superuser(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    has_module_permission = _is_superuser
    has_view_permission = _is_superuser
    has_add_permission = _is_superuser
    has_change_permission = _is_superuser
