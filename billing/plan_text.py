"""Plans in words: what they allow, side by side, and what will be refused under one."""

from collections.abc import Callable

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.text import capfirst
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
    ("stored_bytes", _("storage"), _gigabytes),
    ("open_uploads", _("open uploads"), intcomma),
    ("monthly_trainings", _("trainings per month"), intcomma),
    ("parallel_trainings", _("trainings at once"), intcomma),
    ("training_words", _("words per training"), intcomma),
    ("api_requests_per_minute", _("API requests per minute"), intcomma),
)
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
    for field, title, show in LIMITS:
        lines.append((capfirst(str(title)), [show(getattr(version, field)) for version in versions]))
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
