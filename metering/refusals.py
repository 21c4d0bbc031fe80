"""What was refused lately, by reason: what a workspace should know without searching its log."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, OuterRef, Window
from django.db.models.functions import JSONObject, Now

from core.messages import Message
from metering.models import RefusedRequest

LATELY = timedelta(hours=24)
SHOWN_REASONS = 3


@dataclass(frozen=True)
class RefusedLately:
    """The refusals with one error code: how many are in the log, and the newest of them."""

    code: str
    count: int
    at: datetime
    model_name: str
    reason: Message


def refused_lately(tenant: OuterRef) -> ArraySubquery:
    """Return, as a part of a query of others, the last day's refusals of a workspace by error code."""
    rows = RefusedRequest.objects.filter(tenant=tenant, at__gt=Now() - LATELY)
    counted = rows.annotate(count=Window(Count("pk"), partition_by=[F("code")]))
    newest = counted.order_by("code", "-at", "-pk").distinct("code")
    shown = JSONObject(code="code", count="count", at="at", model_name="model_name", reason="reason")
    return ArraySubquery(newest.values(shown=shown))


def read_refusals(found: list[dict[str, Any]]) -> list[RefusedLately]:
    """Return what `refused_lately` found, the latest code first."""
    refusals = []
    for row in found:
        read = {"at": datetime.fromisoformat(row["at"]), "reason": Message.read(row["reason"])}
        refusals.append(RefusedLately(**row | read))
    refusals.sort(key=lambda refused: refused.at, reverse=True)
    return refusals[:SHOWN_REASONS]
