"""The console's long lists: what they count and filter by, quick with many millions of rows."""

# mypy: disallow-subclassing-any=False

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest

from foundation import months
from tenants.models import LedgerEntry, UsageEvent

SLACK = timedelta(days=1)
COUNTED = 1_000  # rows that are counted one by one, ten pages; what is more is estimated

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
    """Pages of a list whose length is PostgreSQL's own estimate where it is long."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # In the list's own order: that index has these rows together, and the table has them anywhere.
        counted = rows[: COUNTED + 1].count()
        if counted <= COUNTED:
            return counted
        (plan,) = json.loads(rows.order_by().explain(format="json"))
        return max(counted, int(plan["Plan"]["Plan Rows"]))


class PeriodFilter(admin.SimpleListFilter):
    """Months since the first one that was booked."""

    title = parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        first = LedgerEntry.objects.order_by("period").values_list("period", flat=True).first()
        period = months.current()
        while first and period >= first:
            yield period, period
            period = months.before(period)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        if not (period := self.value()):
            return rows
        if (
            rows.model is UsageEvent
        ):  # by the index of admission; clocks may disagree about a month's last moment
            start, end = months.bounds(period)
            rows = rows.filter(admitted_at__gte=start - SLACK, admitted_at__lt=end + SLACK)
        return rows.filter(period=period)


class EngineFilter(admin.SimpleListFilter):
    """Engines that served any request."""

    title = parameter_name = "engine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(ENGINES)
            return [(name, name) for (name,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(engine=self.value()) if self.value() else rows


class LongList:
    """A list that is searched by whole words: a request's id, or a workspace's short name."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    search_help_text = "A whole id, or a workspace's whole short name"
    searched_id = "request_id"

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows of one id, else those of one workspace: each by its index."""
        if not (term := term.strip()):
            return rows, False
        by_id = rows.filter(**{self.searched_id: term}, **self.more_of_its_index())
        return (by_id if by_id.exists() else rows.filter(tenant__slug=term.lower())), False

    def more_of_its_index(self) -> dict[str, Any]:
        """Return what else the index of the id wants to be asked for."""
        return {}
