"""What consoles have in common: what operators may do to rows of a kind, and filters of long lists."""


# mypy: disallow-subclassing-any=False

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter


class NoDelete:
    """Rows that stay."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Immutable(NoDelete):
    """Rows that operators add and never edit."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Steered:
    """Rows with actions that need the permission to change them: `steer`."""

    opts: Any

    def has_steer_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")


class ReadOnly(Steered, Immutable):
    """Rows that only the system writes."""

    fields: Any

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return all that a page shows: also fields that are not editable, and those made here."""
        return self.fields or super().get_readonly_fields(request, obj)  # type: ignore[misc]


class SuperusersOnly(NoDelete):
    """Rows that give rights or take a second factor away."""

    def _is_superuser(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    has_module_permission = _is_superuser
    has_view_permission = _is_superuser
    has_add_permission = _is_superuser
    has_change_permission = _is_superuser


# One descent of the index for each value; DISTINCT would read every row.
VALUES = """
    WITH RECURSIVE found(value) AS (
        (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM {table} WHERE {column} > found.value ORDER BY {column} LIMIT 1)
        FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value <> ''
"""


class ValueFilter(admin.SimpleListFilter):
    """The values of a column, which an index begins with: a long table is not read for them."""

    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = {"table": self.model._meta.db_table, "column": str(self.parameter_name)}
        quoted = {part: connection.ops.quote_name(name) for part, name in names.items()}
        with connection.cursor() as cursor:
            cursor.execute(VALUES.format(**quoted))
            return [(value, value) for (value,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(**{str(self.parameter_name): self.value()}) if self.value() else rows


class MomentFilter(RangeDateTimeFilter):
    """From a moment to another one, both UTC; unfold's own filter leaves the time zone out."""

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        begins, ends = self._read_moment("from"), self._read_moment("to")
        if begins:
            rows = rows.filter(**{f"{self.parameter_name}__gte": begins})
        if ends:
            rows = rows.filter(**{f"{self.parameter_name}__lte": ends})
        return rows

    def _read_moment(self, end: str) -> datetime | None:
        """Return one end of the range; None without a date. A date alone begins at midnight."""
        day = self.used_parameters.get(f"{self.parameter_name}_{end}_0")
        moment = self.used_parameters.get(f"{self.parameter_name}_{end}_1") or "00:00:00"
        try:
            return datetime.strptime(f"{day} {moment}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
