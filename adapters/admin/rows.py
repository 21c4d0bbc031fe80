"""What operators may do to rows."""

from typing import Any

from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest


class Undeletable:
    """Rows that nobody deletes."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(Undeletable):
    """Rows that only the system writes. Their actions need the permission to change them: `steer`."""

    opts: Any

    def has_steer_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
