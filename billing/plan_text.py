"""Plans in words: what they allow, side by side, and what will be refused under one."""

from collections.abc import Callable

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.public import Holdings
from core.money import usd
from core.sizes import GIB
from metering.models import PlanVersion
from metering.plan_limits import PLAN_LIMITS

type Show = Callable[[int], str]


def _gigabytes(count: int) -> str:
    gigabytes = round(count / GIB, 1)
    digits = 0 if gigabytes == int(gigabytes) else 1
    return f"{number_format(gigabytes, digits, force_grouping=True)} GB"


SHOW: dict[str, Show] = {limit.name: _gigabytes if limit.is_bytes else intcomma for limit in PLAN_LIMITS}
# What a plan refuses where a workspace holds more than it includes.
REFUSALS = {
    "private_styles": _(
        "You have {held} private styles, and {plan} includes {most}. They keep working, but you "
        "can't add new ones until you have fewer."
    ),
    "stored_versions": _(
        "You have {held} stored versions, and {plan} includes {most}. None are deleted, but you "
        "can't upload until you have fewer."
    ),
    "stored_bytes": _(
        "You use {held} of storage, and {plan} includes {most}. Nothing is deleted, but you "
        "can't upload until you use less."
    ),
}


def compare_plans(versions: list[PlanVersion]) -> list[tuple[str, list[str]]]:
    """Return what plans cost and allow: a line each, with a value for each plan in their order."""
    lines = [(gettext("Fee"), [capfirst(fee_text(version)) for version in versions])]
    for limit in PLAN_LIMITS:
        if limit.label:
            shown = [SHOW[limit.name](getattr(version, limit.name)) for version in versions]
            lines.append((capfirst(str(limit.label)), shown))
    lines.append((gettext("Extra tokens"), [overage_text(version) for version in versions]))
    return lines


def overage_text(version: PlanVersion) -> str:
    """Return what pays for tokens beyond those that a plan includes."""
    if version.monthly_tokens <= version.included_tokens:
        return gettext("not available")
    if version.overage_allowed:
        return gettext("paid from credits, then invoiced")
    return gettext("paid from credits")


def describe_refusals(version: PlanVersion, held: Holdings) -> list[str]:
    """Return what a plan will refuse of what a workspace holds: a sentence each, none if all of it fits."""
    refusals = []
    for field, sentence in REFUSALS.items():
        show = SHOW[field]
        holds, most = getattr(held, field), getattr(version, field)
        if holds > most:
            facts = {"held": show(holds), "plan": version.plan.name, "most": show(most)}
            refusals.append(str(sentence).format(**facts))
    return refusals


def fee_text(version: PlanVersion) -> str:
    """Return what a plan costs: `$12.00 a month`, `no fee`."""
    fee = version.monthly_fee_nanousd
    return gettext("{amount} per month").format(amount=usd(fee)) if fee else gettext("no fee")
