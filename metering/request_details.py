"""One request of the log in full: its tokens at their prices, and the ledger's entries of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext

from core.money import decimals_of, usd, usd_rounded
from metering.forms import MILLION
from metering.models import LedgerEntry, RefusedRequest, UsageEvent
from metering.request_log import LoggedRequest, show_refused, show_served
from tenants.models import ApiKey, Tenant


@dataclass(frozen=True)
class TokenLine:
    """Tokens of one kind, at the price of the request."""

    name: str
    tokens: int
    price: str  # per million
    cost: str


@dataclass(frozen=True)
class RequestDetails:
    """A row of the log with what the list has no room for. A refused request has no lines and no entries."""

    row: LoggedRequest
    key: ApiKey
    base_model: str = ""
    finish_reason: str = ""
    watermark: str = ""
    has_receipt: bool = False
    lines: Sequence[TokenLine] = ()
    total: str = ""
    entries: Sequence[tuple[LedgerEntry, str]] = ()  # with its amount


def find_request(tenant: Tenant, request_id: str) -> RequestDetails | None:
    """Return a workspace's request, served or refused; None if its log has none with this id."""
    served = UsageEvent.objects.filter(tenant=tenant, request_id=request_id).select_related("key").first()
    if served:
        return _describe_served(served)
    refused = RefusedRequest.objects.filter(tenant=tenant, request_id=request_id).select_related("key")
    row = refused.first()
    return RequestDetails(show_refused(row), row.key) if row else None


def _describe_served(event: UsageEvent) -> RequestDetails:
    kinds = (
        (gettext("Input"), event.prompt_tokens - event.cached_tokens, event.input_nanousd),
        (gettext("Cached input"), event.cached_tokens, event.cached_input_nanousd),
        (gettext("Output"), event.completion_tokens, event.output_nanousd),
    )
    costs = [tokens * token_nanousd for _, tokens, token_nanousd in kinds]
    decimals = max(map(decimals_of, [*costs, event.cost_nanousd]))  # all of them exact, and aligned
    lines = []
    for (name, tokens, token_nanousd), cost in zip(kinds, costs, strict=True):
        lines.append(TokenLine(name, tokens, usd(MILLION * token_nanousd), usd_rounded(cost, decimals)))
    entries = LedgerEntry.objects.filter(
        tenant=event.tenant_id, kind=LedgerEntry.Kind.USAGE, source_id=event.request_id
    )
    return RequestDetails(
        row=show_served(event),
        key=event.key,
        base_model=event.base_model,
        finish_reason=event.finish_reason,
        watermark=event.watermark,
        has_receipt=bool(event.text_sha256 and settings.RECEIPT_KEYS),
        lines=lines,
        total=usd_rounded(event.cost_nanousd, decimals),
        entries=[(entry, usd(entry.amount_nanousd)) for entry in entries],
    )
