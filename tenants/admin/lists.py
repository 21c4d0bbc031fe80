"""The console's long lists: how they count, filter and search, quick with many millions of rows."""

# mypy: disallow-subclassing-any=False

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter

from core import months
from tenants.models import LedgerEntry, Tenant, UsageEvent

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


class PeriodFilter(admin.SimpleListFilter):
    """Months since the first ledger entry."""

    title = "period"
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        first = LedgerEntry.objects.order_by("period").values_list("period", flat=True).first()
        if first is None:
            return
        period = months.current()
        while period >= first:
            yield period, period
            period = months.before(period)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        period = self.value()
        if not period:
            return rows
        if rows.model is UsageEvent:  # each month is a partition
            return rows.filter(period=period)
        # A range: with `=` PostgreSQL leaves the period out of the order, and walks the primary key until it
        # meets that month.
        return rows.filter(period__range=(period, period))


class EngineFilter(ValueFilter):
    """Engines that served any request."""

    title = "engine"
    parameter_name = "engine"
    model = UsageEvent


class LongList:
    """A list that operators search by whole words: an id, or a workspace's short name."""

    search_help_text = "A complete id or workspace short name"
    sortable_by = ()  # another order than the list's own has no index
    id_field = "request_id"
    id_filter: Mapping[str, Any] = {}  # what else the query must name to use the id's index

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows of one id, else those of one workspace: each by its index."""
        term = term.strip()
        if not term:
            return rows, False
        by_id = rows.filter(**{self.id_field: term}, **self.id_filter)
        if by_id.exists():
            return by_id, False
        # By its id: PostgreSQL plans with what it knows of this workspace, and not of an average one.
        tenant_id = Tenant.objects.filter(slug=term.lower()).values_list("pk", flat=True).first()
        return rows.filter(tenant=tenant_id) if tenant_id else rows.none(), False
