"""What a workspace writes in one style: a month's sums and its days, read from usage by day."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Sum
from django.utils.formats import date_format

from core import months
from core.money import usd
from metering.models import UsageDaily
from tenants.models import Tenant


@dataclass(frozen=True)
class DayOfStyle:
    """One UTC day."""

    day: date
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_nanousd: int


@dataclass(frozen=True)
class StyleUsage:
    """One month, with the days on which something was written, the newest first."""

    month: str
    days: list[DayOfStyle]

    @property
    def requests(self) -> int:
        return sum(day.requests for day in self.days)

    @property
    def tokens(self) -> int:
        return sum(day.prompt_tokens + day.completion_tokens for day in self.days)

    @property
    def cost(self) -> str:
        return usd(sum(day.cost_nanousd for day in self.days))


def style_usage(tenant: Tenant, model_name: str, now: datetime) -> StyleUsage:
    """Return what a tenant wrote in a style in the month of an aware moment; one query."""
    start, end = months.bounds(months.period_of(now))
    rows = UsageDaily.objects.filter(tenant=tenant, style_name=model_name)
    rows = rows.filter(day__gte=start.date(), day__lt=end.date())
    sums = rows.values_list("day").annotate(
        Sum("requests"), Sum("prompt_tokens"), Sum("completion_tokens"), Sum("cost_nanousd")
    )
    return StyleUsage(date_format(start, "F"), [DayOfStyle(*row) for row in sums.order_by("-day")])
