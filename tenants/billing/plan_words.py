"""Plans in words: what one allows, what another one changes, and what will be refused under it."""

from collections.abc import Callable
from dataclasses import dataclass

from foundation.money import usd
from tenants.billing.holdings import Holdings
from tenants.models import PlanVersion
from tenants.models.plans import GIB

type Show = Callable[[int], str]


def _count(number: int) -> str:
    return f"{number:,}"


def _gigabytes(count: int) -> str:
    return f"{count / GIB:,.1f} GB".replace(".0 GB", " GB")


LIMITS: tuple[tuple[str, str, Show], ...] = (
    ("included_tokens", "tokens included a month", _count),
    ("monthly_tokens", "tokens a month at most", _count),
    ("requests_per_minute", "requests a minute", _count),
    ("tokens_per_minute", "tokens a minute", _count),
    ("parallel_requests", "requests at once", _count),
    ("max_output_tokens", "tokens an answer", _count),
    ("private_styles", "private styles", _count),
    ("stored_versions", "stored versions", _count),
    ("stored_bytes", "of stored files", _gigabytes),
    ("open_uploads", "open uploads", _count),
    ("api_requests_per_minute", "API requests a minute", _count),
)


@dataclass(frozen=True)
class Difference:
    """One limit under two plans, in words."""

    name: str
    before: str
    after: str
    is_more: bool


def describe_plan(version: PlanVersion) -> list[str]:
    """Return what a plan allows, a phrase a limit: `5,000,000 tokens included a month`."""
    return [f"{show(getattr(version, field))} {words}" for field, words, show in LIMITS]


def describe_overage(version: PlanVersion) -> str:
    """Return what happens to tokens beyond those that a plan includes."""
    if version.monthly_tokens <= version.included_tokens:
        return "All of its tokens are included."
    if version.overage_allowed:
        return "Further tokens cost their price: credits pay first, the rest comes onto the invoice."
    return "Further tokens are paid from credits; without credits, requests are refused then."


def compare_plans(before: PlanVersion, after: PlanVersion) -> list[Difference]:
    """Return the limits that differ."""
    differences = []
    for field, words, show in LIMITS:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            differences.append(Difference(words, show(old), show(new), new > old))
    return differences


def describe_refusals(version: PlanVersion, held: Holdings) -> list[str]:
    """Return what a plan will refuse of what a workspace holds: a sentence each, none if all of it fits."""
    name = version.plan.name
    refusals = []
    if held.private_styles > version.private_styles:
        refusals.append(
            f"You have {held.private_styles:,} private styles and {name} holds {version.private_styles:,}. "
            "They go on answering; a new one is refused until you have fewer."
        )
    if held.stored_versions > version.stored_versions:
        refusals.append(
            f"You keep {held.stored_versions:,} versions and {name} keeps {version.stored_versions:,}. "
            "None is deleted; uploads are refused until you have fewer."
        )
    if held.stored_bytes > version.stored_bytes:
        stored = _gigabytes(held.stored_bytes)
        refusals.append(
            f"You store {stored} and {name} stores {_gigabytes(version.stored_bytes)}. "
            "Nothing is deleted; uploads are refused until it fits."
        )
    return refusals


def fee_text(version: PlanVersion) -> str:
    """Return what a plan costs: `$12.00 a month`, `no fee`."""
    fee = version.monthly_fee_nanousd
    return f"{usd(fee)} a month" if fee else "no fee"
