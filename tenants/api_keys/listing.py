"""The list of a workspace's API keys: live ones first, with what each cost this month."""

from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Page, Paginator
from django.db.models import BooleanField, Case, Q, QuerySet, Sum, Value, When

from core import months
from tenants.models import ApiKey, Tenant, UsageDaily

PAGE_SIZE = 50


@dataclass(frozen=True)
class KeyRow:
    """One key of the list, and its month."""

    key: ApiKey
    requests: int
    cost_nanousd: int


def list_keys(tenant: Tenant, now: datetime, *, search: str = "", page: int | str = 1) -> Page[ApiKey]:
    """Return a page of the keys that people made; of a search those whose name or visible digits have it."""
    keys = ApiKey.objects.shown().filter(tenant=tenant)
    if search:
        keys = keys.filter(Q(name__icontains=search) | Q(last4=search) | Q(prefix=search))
    is_dead = When(Q(revoked_at__isnull=False) | Q(expires_at__lte=now), then=Value(True))
    dead_last = Case(is_dead, default=Value(False), output_field=BooleanField())
    ordered: QuerySet[ApiKey] = keys.order_by(dead_last, "-created_at", "pk").select_related("created_by")
    return Paginator(ordered, PAGE_SIZE).get_page(page)


def month_rows(tenant: Tenant, keys: list[ApiKey], now: datetime) -> list[KeyRow]:
    """Return the keys with what they used in the month that holds a moment."""
    start, end = months.bounds(months.period_of(now))
    days = UsageDaily.objects.filter(tenant=tenant, key__in=keys, day__gte=start.date(), day__lt=end.date())
    sums = days.order_by().values_list("key").annotate(Sum("requests"), Sum("cost_nanousd"))
    used = {key_id: (requests, cost) for key_id, requests, cost in sums}
    rows = []
    for key in keys:
        requests, cost_nanousd = used.get(key.pk, (0, 0))
        rows.append(KeyRow(key, requests, cost_nanousd))
    return rows
