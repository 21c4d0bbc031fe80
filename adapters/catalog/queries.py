"""Queries: the styles that a tenant sees, its own and others', and the one that it names."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Case, CharField, Q, QuerySet, TextChoices, Value, When
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from django.utils.translation import gettext

from adapters.catalog.style_fields import LANGUAGES
from adapters.models import AdapterVersion, Selection, Share, Status, Style
from adapters.models.styles import is_public_now, is_reviewed_for, model_name_of
from adapters.quality import samples
from adapters.quality.samples import facts_of
from metering.models import TokenPrices
from metering.price_book import prices_now, schedules_of
from tenants.models import Tenant

MAX_SEARCH_WORDS = 10
MOST_CHOICES = 300
SHOWN_OF_VERSIONS = ("style", "number", "status", "approved_at")


class Kind(TextChoices):
    """How a tenant comes to see a style."""

    OWN = "own"
    SHARED = "shared"
    PUBLIC = "public"
    SELECTED = "selected"


@dataclass(frozen=True)
class Card:
    """One style as a tenant sees it."""

    id: UUID
    slug: str
    name: str
    model_name: str
    description: str
    sample: str
    sample_prompt: str
    owner_name: str
    owner_slug: str
    author: str
    licence: str
    tags: list[str]
    language: str
    is_own: bool
    is_selected: bool
    is_public: bool
    is_shared: bool
    ends_at: datetime | None
    live_version: AdapterVersion | None
    newest_version: AdapterVersion | None
    effects: list[str]
    temperature: float
    top_p: float
    suspended_at: datetime | None = None
    suspended_reason: str = ""

    @property
    def language_name(self) -> str:
        """The language's name in the active language, or "" where none is said."""
        return gettext(LANGUAGES.get(self.language, self.language))


@dataclass(frozen=True)
class ModelChoice:
    """Something to write in: what goes into `model=`, how people call it, and a prompt that suits it.

    `prices` are its own of now, None for the general ones.
    """

    model: str
    name: str
    sample_prompt: str
    prices: TokenPrices | None


@dataclass(frozen=True)
class OfferedStyle:
    """What a list of choices shows of a style; hundreds of models with all columns would take 20 ms more."""

    id: UUID
    is_own: bool
    model_name: str
    name: str
    sample_prompt: str


def list_styles(tenant: Tenant, kind: str = "", words: str = "") -> QuerySet[Style]:
    """Return the styles of a kind, or of all kinds, that contain some words as the tenant reads them.

    Public styles are among them if they serve; those that are being taken back only if it selected them.
    """
    shared = Share.objects.in_force().filter(tenant=tenant).values("style")
    selected = Selection.objects.in_force().filter(tenant=tenant).values("style")
    answering = Style.objects.answering(tenant.pk).filter(is_public_now(), public_until=None).values("pk")
    conditions = {
        Kind.OWN: Q(owner=tenant),
        Kind.SHARED: Q(pk__in=shared),
        Kind.PUBLIC: Q(pk__in=answering),
        Kind.SELECTED: Q(pk__in=selected),
    }
    condition = Q(owner=tenant) | Q(pk__in=shared) | Q(pk__in=answering) | Q(pk__in=selected)
    if kind:
        condition = conditions[Kind(kind)]
    return _search(tenant, Style.objects.filter(condition, retired_at=None), words)


def narrow(styles: QuerySet[Style], *, tag: str = "", language: str = "") -> QuerySet[Style]:
    """Return the styles that have a tag and write in a language, where those are given."""
    if tag:
        styles = styles.filter(tags__contains=[tag])
    return styles.filter(language=language) if language else styles


def with_shown_name(tenant: Tenant, styles: QuerySet[Style]) -> QuerySet[Style]:
    """Return the styles with `shown_name` to order them by: the name that the tenant reads, and the id.

    With the id none has the place of another one, so pages stay exact while styles of the same name are made.
    """
    return styles.annotate(shown_name=Concat(_shown(tenant, "name"), Value(" "), Cast("pk", CharField())))


def read_versions(styles: Sequence[Style]) -> None:
    """Read the versions that some styles point to, with their probes, in one query for all."""
    fields = ("live_version", "approved_version", "canary_version")
    ids = {getattr(style, f"{field}_id") for style in styles for field in fields}
    versions = AdapterVersion.objects.filter(pk__in=ids - {None}).select_related("probe")
    by_id = versions.only(*SHOWN_OF_VERSIONS, "probe__strength", "probe__measures").in_bulk()
    for style in styles:
        for field in fields:
            setattr(style, field, by_id.get(getattr(style, f"{field}_id")))


def card(tenant: Tenant, style: Style) -> Card:
    """Return one style as a tenant sees it."""
    return cards_of(tenant, list(with_versions(Style.objects.filter(pk=style.pk))))[0]


def model_choices(tenant: Tenant, wanted: Collection[str] = ()) -> list[ModelChoice]:
    """Return what a tenant may choose to write in: the first styles by name, and its own serving versions.

    Also the styles that `wanted` names, wherever they stand. Five queries at most.
    """
    styles = Style.objects.usable_by(tenant.pk).answering(tenant.pk)
    shown = _read_offered(tenant, _first_by_name(styles, MOST_CHOICES))
    missing = {name.partition("@")[0] for name in wanted} - {style.model_name for style in shown}
    if missing:
        slugs = [name.rpartition("/")[2] for name in missing]
        named = _read_offered(tenant, styles.filter(slug__in=slugs))
        shown += [style for style in named if style.model_name in missing]
    versions = _serving_numbers([style.id for style in shown if style.is_own])
    schedules = schedules_of([style.id for style in shown], timezone.now())
    choices = []
    for style in shown:
        prices = prices_now(schedules.get(style.id, []))
        choice = ModelChoice(style.model_name, style.name, style.sample_prompt, prices)
        choices.append(choice)
        for number in versions.get(style.id, []):
            name = gettext("{style}, version {number}").format(style=style.name, number=number)
            choices.append(replace(choice, model=f"{style.model_name}@{number}", name=name))
    return choices


def _serving_numbers(style_ids: list[UUID]) -> dict[UUID, list[int]]:
    """Return style → the numbers of its serving versions, newest first, of those that have several."""
    serving = AdapterVersion.objects.filter(style__in=style_ids, status=Status.SERVING)
    numbers: dict[UUID, list[int]] = defaultdict(list)
    for style_id, number in serving.order_by("-number").values_list("style", "number"):
        numbers[style_id].append(number)
    return {style_id: found for style_id, found in numbers.items() if len(found) > 1}


def style_choices(
    tenant: Tenant, among: Collection[UUID] | None, most: int | None
) -> list[tuple[UUID, str, str]]:
    """Return (id, name, model name) of the styles that a tenant may name in `model=`, by name.

    Only those `among` some, if they are given; and at `most` so many.
    """
    styles = Style.objects.usable_by(tenant.pk)
    if among is not None:
        styles = styles.filter(pk__in=among)
    offered = _read_offered(tenant, _first_by_name(styles, most))
    return [(style.id, style.name, style.model_name) for style in offered]


def _shown(tenant: Tenant, field: str) -> Case:
    """Return a field of styles as a tenant reads it: what operators approved where that is so."""
    return Case(When(is_reviewed_for(tenant.pk), then=f"approved_{field}"), default=field)


def _first_by_name(styles: QuerySet[Style], most: int | None) -> QuerySet[Style]:
    """Return at most so many styles, by name; sorted without their texts, of which a long list has much."""
    ids = styles.order_by("name", "pk").values("pk")[:most]
    return Style.objects.filter(pk__in=ids).order_by("name", "pk")


def _read_offered(tenant: Tenant, styles: QuerySet[Style]) -> list[OfferedStyle]:
    """Return what a choice shows of some styles, as a tenant reads them; one query."""
    shown = styles.annotate(shown_name=_shown(tenant, "name"), shown_prompt=_shown(tenant, "sample_prompt"))
    columns = ("pk", "owner", "slug", "owner__slug", "owner__is_first_party", "shown_name", "shown_prompt")
    offered = []
    for pk, owner_id, slug, owner_slug, is_first_party, name, prompt in shown.values_list(*columns):
        model_name = model_name_of(slug, owner_slug, is_first_party=is_first_party)
        offered.append(OfferedStyle(pk, owner_id == tenant.pk, model_name, name, prompt))
    return offered


def _search(tenant: Tenant, styles: QuerySet[Style], words: str) -> QuerySet[Style]:
    """Return the styles whose texts, as a tenant reads them, contain all of the words."""
    reviewed = is_reviewed_for(tenant.pk)
    for word in words.split()[:MAX_SEARCH_WORDS]:
        current = Q(name__icontains=word) | Q(description__icontains=word) | Q(sample__icontains=word)
        approved = (
            Q(approved_name__icontains=word)
            | Q(approved_description__icontains=word)
            | Q(approved_sample__icontains=word)
        )
        texts = ~reviewed & current | reviewed & approved
        others = Q(slug__icontains=word) | Q(owner__name__icontains=word) | Q(tags__contains=[word.lower()])
        styles = styles.filter(texts | others)
    return styles


def with_versions(styles: QuerySet[Style]) -> QuerySet[Style]:
    """Return the styles with what a card shows of the versions that answer, in the same query."""
    shown = styles.select_related("owner", "live_version__probe", "approved_version__probe")
    # A card shows neither of these, and they are long.
    return shown.defer(
        "live_version__probe__samples",
        "live_version__probe__shifts",
        "approved_version__probe__samples",
        "approved_version__probe__shifts",
    )


def cards_of(tenant: Tenant, styles: Sequence[Style]) -> list[Card]:
    """Return some styles as a tenant sees them, in their order; three queries for all.

    The styles are read with their versions, and must not be saved afterwards: see `Style.show_to`.
    """
    found = [style.show_to(tenant.pk) for style in styles]
    own = [style for style in found if style.owner_id == tenant.pk]
    others = [style for style in found if style.owner_id != tenant.pk]
    selected = set(Selection.objects.filter(tenant=tenant, style__in=others).values_list("style", flat=True))
    shares = dict(Share.objects.filter(tenant=tenant, style__in=others).values_list("style", "ends_at"))
    newest = _newest_versions(own)
    return [_card(tenant, style, selected, shares, newest.get(style.pk)) for style in found]


def _card(
    tenant: Tenant,
    style: Style,
    selected: set[UUID],
    shares: dict[UUID, datetime | None],
    newest: AdapterVersion | None,
) -> Card:
    is_own = style.owner_id == tenant.pk
    return Card(
        id=style.pk,
        slug=style.slug,
        name=style.name,
        model_name=style.model_name,
        description=style.description,
        sample=samples.shown_line(style.sample),
        sample_prompt=style.sample_prompt,
        owner_name=style.owner.name,
        owner_slug=style.owner.slug,
        author=style.author,
        licence=style.licence,
        tags=style.tags,
        language=style.language,
        is_own=is_own,
        is_selected=style.pk in selected,
        is_public=style.is_public,
        is_shared=style.pk in shares,
        ends_at=None if is_own else _ends_at(style, shares),
        live_version=style.live_version,
        newest_version=newest,
        effects=facts_of(style.live_version),
        temperature=style.default_temperature,
        top_p=style.default_top_p,
        suspended_at=style.suspended_at,
        suspended_reason=style.suspended_reason if is_own else "",
    )


def _ends_at(style: Style, shares: dict[UUID, datetime | None]) -> datetime | None:
    """Return when a tenant loses another's style, if it does: when the last way ends in which it has it."""
    ends = []
    if style.is_public:
        ends.append(style.public_until)
    if style.pk in shares:
        ends.append(shares[style.pk])
    dates = [end for end in ends if end]
    if len(dates) < len(ends):
        return None
    return max(dates, default=None)


def _newest_versions(styles: list[Style]) -> dict[UUID, AdapterVersion]:
    versions = AdapterVersion.objects.filter(style__in=styles)
    newest = versions.order_by("style", "-number").distinct("style").only(*SHOWN_OF_VERSIONS)
    return {version.style_id: version for version in newest}
