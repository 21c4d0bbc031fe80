"""Pages of a list that may be very long."""

import json
from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet

MAX_COUNTED = 1_000  # rows, ten pages; PostgreSQL estimates the length of a longer list


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
