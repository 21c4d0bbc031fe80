"""What the API tells of usage, apart from REST framework: the data plane answers `GET /v1/usage` with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from core import months, rates
from core.errors import Invalid
from core.money import dollars
from metering import usage
from metering.credits import credits_left
from metering.plans import api_requests_per_minute
from tenants.models import Tenant

DAY_FORMAT = "%Y-%m-%d"
MAX_REPEATED = 200  # characters of what was sent that an error repeats


class BadParameters(Invalid):
    """Invalid parameters: {named}. Supported are `start`, `end` (UTC dates), `group_by` and `style`."""

    code = "invalid_parameters"


class KeyUsageQuery(forms.Form):
    """Which usage of a key, and by what it is summed."""

    start = forms.DateField(required=False, input_formats=[DAY_FORMAT])
    end = forms.DateField(required=False, input_formats=[DAY_FORMAT])
    group_by = forms.CharField(strip=False)
    style = forms.CharField(required=False, strip=False, max_length=100)

    def clean_group_by(self) -> list[str]:
        """Return the groups that are named, each at most once."""
        try:
            return usage.parse_groups(self.cleaned_data["group_by"])
        except ValueError as error:
            raise ValidationError(str(error)) from None


def report_usage(tenant: Tenant, query: Mapping[str, Any], *, key_id: UUID | None) -> dict[str, object]:
    """Return the sums that a checked query names, and their total. Raises BadRange and TooManySums."""
    now = timezone.now()
    month_begins, _ = months.bounds(months.period_of(now))
    start = query.get("start") or month_begins.date()
    end = query.get("end") or now.date() + timedelta(days=1)
    chosen = usage.UsageFilter(tenant, start=start, end=end, style=query.get("style", ""), key_id=key_id)
    rows = [_present_sum(row) for row in usage.sum_usage(chosen, query["group_by"])]
    return {"start": start.isoformat(), "end": end.isoformat(), "data": rows, "total": _total(rows)}


def report_usage_of_key(tenant_id: UUID, key_id: UUID, parameters: Mapping[str, str]) -> dict[str, object]:
    """Return what one key used, and what is left of the workspace's credits.

    The parameters of the address are those of a workspace's usage but `key`.

    Raises BadParameters, BadRange, TooManySums, TooManyRequests.
    """
    tenant = Tenant.objects.get(pk=tenant_id)
    limit = api_requests_per_minute(tenant, timezone.now())
    rates.take(f"api:key:{key_id}", limit)
    report = report_usage(tenant, read_query(parameters), key_id=key_id)
    left = credits_left(tenant, months.current())
    return {**report, "credits": {"left_nanousd": left, "left_usd": dollars(left)}}


def read_query(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the checked query of one key's usage. Raises BadParameters: what is unknown or empty, too."""
    form = KeyUsageQuery({"group_by": "day", **parameters})
    wrong = [name for name, value in parameters.items() if name not in form.fields or not value]
    wrong += [name for name in form.errors if name not in wrong]
    if wrong:
        raise BadParameters(named=", ".join(wrong)[:MAX_REPEATED])
    return form.cleaned_data


def _present_sum(row: dict[str, Any]) -> dict[str, Any]:
    day = row.get("by_day")
    key_id = row.get("by_key")
    return {
        "day": day.isoformat() if day else None,
        "style": row.get("by_style"),
        "key": str(key_id) if key_id else None,
        "version": row.get("by_version"),
        "requests": row["requests_sum"],
        "prompt_tokens": row["prompt_sum"],
        "completion_tokens": row["completion_sum"],
        "cost_nanousd": row["cost_sum"],
        "cost_usd": dollars(row["cost_sum"]),
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, object]:
    total: dict[str, Any] = {"day": None, "style": None, "key": None, "version": None}
    for name in ("requests", "prompt_tokens", "completion_tokens", "cost_nanousd"):
        total[name] = sum(row[name] for row in rows)
    total["cost_usd"] = dollars(total["cost_nanousd"])
    return total
