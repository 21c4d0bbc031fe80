"""The few styles that a person's first pages show: public ones to hear, those in use, and what went wrong."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from adapters.catalog import queries
from adapters.models import AdapterVersion, Probe, Style
from adapters.models.styles import is_reviewed_for
from tenants.models import Tenant

HEARD_AT_ONCE = 3
SHOWN_IN_USE = 3
CANDIDATES = 100  # of which the most used ones are shown
NEWEST_UPLOADS = 20


def styles_to_try(tenant: Tenant) -> list[Style]:
    """Return a few public styles that answer, the first party's first, as a tenant reads them; one query."""
    public = Style.objects.selectable_by(tenant.pk).answering(tenant.pk).filter(is_public=True)
    shown = public.exclude(owner=tenant).select_related("approved_version")
    ordered = shown.order_by("-owner__is_first_party", "created_at", "pk")
    return [style.show_to(tenant.pk) for style in ordered[:HEARD_AT_ONCE]]


def find_to_try(tenant: Tenant, style_id: UUID) -> Style | None:
    """Return a style that a tenant may choose: one that is offered to it."""
    return Style.objects.selectable_by(tenant.pk).filter(pk=style_id).first()


def styles_in_use(tenant: Tenant, most_used: Collection[str]) -> list[Style]:
    """Return a few styles that a tenant writes in, the most used first; one query.

    `most_used` are model names. Styles that were never used follow, those with a sample first.
    """
    slugs = [name.rpartition("/")[2] for name in most_used]
    usable = Style.objects.usable_by(tenant.pk).answering(tenant.pk).alias(is_used=Q(slug__in=slugs))
    ordered = usable.order_by("-is_used", "-created_at", "pk")
    # Sorted without their texts, and `usable_by` looks through a large workspace once.
    candidates = Style.objects.filter(pk__in=ordered.values("pk")[:CANDIDATES]).order_by("-created_at", "pk")
    found = [style.show_to(tenant.pk) for style in candidates.select_related("owner", "approved_version")]
    places = {name: place for place, name in enumerate(most_used)}
    found.sort(key=lambda style: (places.get(style.model_name, len(places)), not style.sample))
    return found[:SHOWN_IN_USE]


def newest_uploads(tenant: Tenant) -> list[AdapterVersion]:
    """Return the newest version of each own style that had an upload lately; one query."""
    versions = AdapterVersion.objects.filter(style__owner=tenant, style__retired_at=None)
    ids = versions.order_by("-created_at").values("pk")[:NEWEST_UPLOADS]  # sorted without what was found
    recent = AdapterVersion.objects.filter(pk__in=ids).order_by("-created_at")
    newest: dict[UUID, AdapterVersion] = {}
    for version in recent.select_related("style__owner").defer("findings"):
        newest.setdefault(version.style_id, version)
    return list(newest.values())


type StyleChoice = tuple[UUID, str, str]  # id, name, model name

SHOWN_STYLES = 300  # of which a page lets people choose
BASE_MODEL_NAME = "base"  # what every key that is not limited to styles may name


def name_example_model(tenant: Tenant, style_ids: Collection[UUID] | None) -> str:
    """Return what an example names in `model=`: a style that answers, best the default one, else the base.

    `style_ids`: those that the key is limited to. If none of these answers yet, it is still one of them.
    """
    usable = Style.objects.usable_by(tenant.pk).answering(tenant.pk)
    if style_ids:
        usable = usable.filter(pk__in=style_ids)
    default = usable.filter(pk=tenant.default_style).first() if tenant.default_style else None
    if style := default or usable.order_by("created_at", "pk").first():
        return style.model_name
    limited_to = find_style_choices(tenant, style_ids) if style_ids else []
    return limited_to[0][2] if limited_to else BASE_MODEL_NAME


def name_default_style(tenant: Tenant) -> str | None:
    """Return the model name of the style that a tenant's pages begin with, if it can use it still."""
    if tenant.default_style is None:
        return None
    found = find_style_choices(tenant, [tenant.default_style])
    return found[0][2] if found else None


def list_style_choices(tenant: Tenant, *, besides: Collection[UUID] = ()) -> list[StyleChoice]:
    """Return the styles that a page offers: the first by name, and `besides` some that are chosen already."""
    shown = queries.style_choices(tenant, None, SHOWN_STYLES)
    known = {style_id for style_id, _, _ in shown}
    missing = set(besides) - known
    return shown + find_style_choices(tenant, missing) if missing else shown


def find_style_choices(tenant: Tenant, style_ids: Collection[UUID]) -> list[StyleChoice]:
    """Return those of some styles that a tenant may name in `model=`."""
    return queries.style_choices(tenant, style_ids, None)


# What the front page shows to strangers: a few public styles, and what each answered to the same prompts.

MOST_STYLES = 3
MOST_PROMPTS = 3


@dataclass(frozen=True)
class Answer:
    """What a style answered; `style` is None for the base model."""

    style: Style | None
    text: str


@dataclass(frozen=True)
class PromptAnswers:
    """A prompt, and the answers of the base model and of each style."""

    prompt: str
    answers: list[Answer]


def public_styles() -> list[Style]:
    """Return a few public styles with a sample, as strangers see them."""
    reviewed = is_reviewed_for(None)
    with_sample = reviewed & ~Q(approved_sample="") | ~reviewed & ~Q(sample="")
    public = Style.objects.answering(None).filter(with_sample, is_public=True)
    shown = public.select_related("owner", "live_version", "approved_version").order_by("created_at")
    return [style.show_to(None) for style in shown[:MOST_STYLES]]


def list_answers(styles: list[Style]) -> list[PromptAnswers]:
    """Return what some styles answered when they were probed, to the prompts that all have. One query."""
    versions = {style.live_version_id: style for style in styles}
    probes = Probe.objects.filter(version__in=versions).values_list("version", "samples")
    answers: dict[str, list[Answer]] = {}
    for version_id, samples in probes:
        for sample in samples:
            base = [Answer(None, sample["base"])]
            answers.setdefault(sample["prompt"], base).append(Answer(versions[version_id], sample["style"]))
    complete = [PromptAnswers(prompt, given) for prompt, given in answers.items() if len(given) > len(styles)]
    return complete[:MOST_PROMPTS]
