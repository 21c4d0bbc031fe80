"""Plans in words: what one allows, what another one changes, and what will be refused under it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.public import Holdings
from core.money import usd
from core.sizes import GIB
from tenants.models import PlanVersion

type Show = Callable[[int], str]


def _gigabytes(count: int) -> str:
    gigabytes = round(count / GIB, 1)
    digits = 0 if gigabytes == int(gigabytes) else 1
    return f"{number_format(gigabytes, digits, force_grouping=True)} GB"


LIMITS: tuple[tuple[str, str | Promise, Show], ...] = (
    ("included_tokens", _("included tokens per month"), intcomma),
    ("monthly_tokens", _("tokens per month (maximum)"), intcomma),
    ("requests_per_minute", _("requests per minute"), intcomma),
    ("tokens_per_minute", _("tokens per minute"), intcomma),
    ("parallel_requests", _("concurrent requests"), intcomma),
    ("max_output_tokens", _("tokens per answer"), intcomma),
    ("private_styles", _("private styles"), intcomma),
    ("stored_versions", _("stored versions"), intcomma),
    ("stored_bytes", _("of storage"), _gigabytes),
    ("open_uploads", _("open uploads"), intcomma),
    ("monthly_trainings", _("trainings per month"), intcomma),
    ("parallel_trainings", _("trainings at once"), intcomma),
    ("training_words", _("words per training"), intcomma),
    ("api_requests_per_minute", _("API requests per minute"), intcomma),
)
# What is called otherwise where there is one.
OF_ONE = {
    "monthly_trainings": _("training per month"),
    "parallel_trainings": _("training at once"),
}
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


@dataclass(frozen=True)
class Difference:
    """One limit under two plans, in words."""

    name: str
    before: str
    after: str
    is_more: bool


def describe_plan(version: PlanVersion) -> list[str]:
    """Return what a plan allows, a phrase a limit: `5,000,000 tokens included a month`."""
    phrases = []
    for field, title, show in LIMITS:
        count = getattr(version, field)
        name = OF_ONE.get(field, title) if count == 1 else title
        phrases.append(f"{show(count)} {name}")
    return phrases


def describe_overage(version: PlanVersion) -> str:
    """Return what happens to tokens beyond those that a plan includes."""
    if version.monthly_tokens <= version.included_tokens:
        return gettext("All tokens are included.")
    if version.overage_allowed:
        return gettext(
            "Additional tokens are billed: credits are used first, the rest is added to your invoice."
        )
    return gettext("Additional tokens are paid from credits. Without credits, requests are refused.")


def compare_plans(before: PlanVersion, after: PlanVersion) -> list[Difference]:
    """Return the limits that differ."""
    differences = []
    for field, title, show in LIMITS:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            differences.append(Difference(str(title), show(old), show(new), new > old))
    return differences


def describe_refusals(version: PlanVersion, held: Holdings) -> list[str]:
    """Return what a plan will refuse of what a workspace holds: a sentence each, none if all of it fits."""
    refusals = []
    show_by_field = {field: show for field, _title, show in LIMITS}
    for field, sentence in REFUSALS.items():
        show = show_by_field[field]
        holds, most = getattr(held, field), getattr(version, field)
        if holds > most:
            facts = {"held": show(holds), "plan": version.plan.name, "most": show(most)}
            refusals.append(str(sentence).format(**facts))
    return refusals


def fee_text(version: PlanVersion) -> str:
    """Return what a plan costs: `$12.00 a month`, `no fee`."""
    fee = version.monthly_fee_nanousd
    return gettext("{amount} per month").format(amount=usd(fee)) if fee else gettext("no fee")
