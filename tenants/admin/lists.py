"""The console's long lists: how they count, filter and search, quick with many millions of rows."""

# mypy: disallow-subclassing-any=False

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest

from foundation import months
from tenants.models import LedgerEntry, Tenant, UsageEvent

CLOCK_SLACK = timedelta(days=1)
MAX_COUNTED = 1_000  # rows, ten pages; PostgreSQL estimates the length of a longer list

# One descent of the index for each name; DISTINCT would read every row.
ENGINES = """
    WITH RECURSIVE found(engine) AS (
        (SELECT engine FROM tenants_usageevent ORDER BY engine LIMIT 1)
        UNION ALL
        SELECT (SELECT engine FROM tenants_usageevent WHERE engine > found.engine ORDER BY engine LIMIT 1)
        FROM found WHERE found.engine IS NOT NULL
    )
    SELECT engine FROM found WHERE engine IS NOT NULL AND engine <> ''
"""


class EstimatedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a list. Its length is PostgreSQL's own estimate where it is long."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # In the list's own order: that index has these rows together, and the table has them anywhere.
        counted = rows[: MAX_COUNTED + 1].count()
        if counted <= MAX_COUNTED:
            return counted
        (plan,) = json.loads(rows.order_by().explain(format="json"))
        return max(counted, int(plan["Plan"]["Plan Rows"]))


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
        if rows.model is UsageEvent:
            # Usage events have an index of admission and none of periods. The slack is for machines whose
            # clocks disagree about a month's last moment.
            start, end = months.bounds(period)
            rows = rows.filter(admitted_at__gte=start - CLOCK_SLACK, admitted_at__lt=end + CLOCK_SLACK)
            return rows.filter(period=period)
        # A range: with `=` PostgreSQL leaves the period out of the order, and walks the primary key until it
        # meets that month.
        return rows.filter(period__range=(period, period))


class EngineFilter(admin.SimpleListFilter):
    """Engines that served any request."""

    title = "engine"
    parameter_name = "engine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(ENGINES)
            return [(name, name) for (name,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(engine=self.value()) if self.value() else rows


class LongList:
    """A list that operators search by whole words: an id, or a workspace's short name."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    search_help_text = "A whole id, or a workspace's whole short name"
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
