"""What all workspaces together used: at list prices, before plans' included tokens and credits."""

from datetime import date

from django.db.models import Sum

from tenants.models import UsageDaily


def used_nanousd(first: date, last: date) -> int:
    """Return what the usage of some days costs, both included."""
    days = UsageDaily.objects.filter(day__range=(first, last))
    return days.aggregate(total=Sum("cost_nanousd"))["total"] or 0
