"""The console's page of margins: what usage brings in, beside what engines cost at the operator's rate."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, F, Sum
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils import timezone

from adapters.models import EngineSample
from billing.public import invoiced_nanousd, used_nanousd
from core import months
from core.console import Figure, Level
from core.money import NANO, usd, usd_at_a_glance
from metering.models import UsageDaily
from tenants.models import Tenant

DAYS = 30  # engine samples are kept for 31
TOP = 20  # workspaces


@dataclass(frozen=True)
class Margin:
    """One workspace's usage at list prices, and its part of what the engines cost, by its tokens."""

    name: str
    address: str
    tokens: int
    usage: str
    cost: str
    margin: str
    is_loss: bool


def margins_context() -> dict[str, object]:
    """Return what the page shows of the last 30 days, today included."""
    now = timezone.now()
    first, last = now.date() - timedelta(days=DAYS - 1), now.date()
    hours = count_engine_hours(now - timedelta(days=DAYS))
    rate = settings.ENGINE_CENTS_PER_HOUR * NANO // 100
    cost = hours * rate
    used = used_nanousd(first, last)
    previous = months.before(months.current())
    figures = [
        Figure(
            "Usage at list prices",
            usd_at_a_glance(used),
            f"last {DAYS} days, with trainings and included tokens",
        ),
        Figure(
            "Engine cost", usd_at_a_glance(cost), f"{hours:,} hour{'' if hours == 1 else 's'} at {usd(rate)}"
        ),
        Figure("Margin", usd_at_a_glance(used - cost), level=Level.FAULT if used < cost else Level.NORMAL),
        Figure("Invoiced", usd(invoiced_nanousd(previous)), f"for {previous}, less credit notes"),
    ]
    return {"figures": figures, "rows": list_top(first, last, cost), "rate": rate}


def count_engine_hours(since: datetime) -> int:
    """Return the hours in which engines answered, each replica for itself."""
    answering = EngineSample.objects.filter(at__gte=since, is_answering=True)
    by_engine = answering.annotate(hour=TruncHour("at")).values("engine", replicas=F("engine__replicas"))
    return sum(
        row["hours"] * row["replicas"] for row in by_engine.annotate(hours=Count("hour", distinct=True))
    )


def list_top(first: date, last: date, cost_nanousd: int) -> list[Margin]:
    """Return the workspaces that used most, each with its part of the engines' cost."""
    usage = UsageDaily.objects.filter(day__range=(first, last)).order_by().values("tenant")
    tokens = Sum(F("prompt_tokens") + F("completion_tokens"))
    usage = usage.annotate(tokens=tokens, nanousd=Sum("cost_nanousd"))
    all_tokens = sum(row["tokens"] for row in usage)
    top = list(usage.order_by("-nanousd", "tenant")[:TOP])
    tenants = Tenant.objects.in_bulk([row["tenant"] for row in top])
    rows = []
    for row in top:
        cost = cost_nanousd * row["tokens"] // all_tokens if all_tokens else 0
        rows.append(
            Margin(
                name=tenants[row["tenant"]].name,
                address=reverse("admin:tenants_tenant_change", args=[row["tenant"]]),
                tokens=row["tokens"],
                usage=usd_at_a_glance(row["nanousd"]),
                cost=usd_at_a_glance(cost),
                margin=usd_at_a_glance(row["nanousd"] - cost),
                is_loss=row["nanousd"] < cost,
            )
        )
    return rows
