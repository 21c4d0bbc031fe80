"""Queries: the styles that a tenant sees, its own and others', and the one that it names."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from adapters.errors import StyleNotFound
from adapters.models import AdapterVersion, Selection, Share, Style
from adapters.models.styles import is_public_now, is_reviewed_for
from adapters.quality import cards
from tenants.public import Tenant

MAX_CARDS = 500
MAX_SEARCH_WORDS = 10


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
    is_own: bool
    is_selected: bool
    is_public: bool
    is_shared: bool
    ends_at: datetime | None
    live_version: AdapterVersion | None
    newest_version: AdapterVersion | None
    effects: list[str]


def public_styles() -> list[Style]:
    """Return a few public styles with a sample, for strangers."""
    reviewed = is_reviewed_for(None)
    with_sample = reviewed & ~Q(approved_sample="") | ~reviewed & ~Q(sample="")
    public = Style.objects.answering(None).filter(with_sample, is_public=True)
    shown = public.select_related("owner", "approved_version").order_by("created_at")
    return [style.show_to(None) for style in shown[:3]]


def others_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return the styles of other tenants that this one can have or has; three queries for all.

    Public styles are among them if they serve; those that are being taken back only if it selected them.
    """
    shared = Q(pk__in=Share.objects.in_force().filter(tenant=tenant).values("style"))
    answering = Q(pk__in=Style.objects.answering(tenant.pk).values("pk"))
    offered = answering & Q(public_until=None) | Q(selections__tenant=tenant)
    others = Style.objects.filter(shared | is_public_now() & offered).exclude(owner=tenant)
    return _cards(tenant, _search(tenant, others, words))


def own_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return the tenant's own styles; two queries for all."""
    return _cards(tenant, _search(tenant, Style.objects.filter(owner=tenant), words))


def card(tenant: Tenant, style: Style) -> Card:
    """Return one style as a tenant sees it."""
    return _cards(tenant, Style.objects.filter(pk=style.pk))[0]


def find_style(tenant: Tenant, owner_slug: str, slug: str) -> Style:
    """Return a style that a tenant may see. Raises StyleNotFound, also for another tenant's private one."""
    style = Style.objects.visible_to(tenant.pk).filter(owner__slug=owner_slug, slug=slug).first()
    if style is None:
        raise StyleNotFound
    return style


def usable_styles(tenant: Tenant) -> list[Style]:
    """Return the styles with a serving version that a tenant may write in, by name."""
    styles = Style.objects.usable_by(tenant.pk).answering(tenant.pk)
    shown = styles.select_related("owner", "live_version", "approved_version").order_by("name", "pk")
    return [style.show_to(tenant.pk) for style in shown]


def style_choices(tenant: Tenant) -> list[tuple[UUID, str, str]]:
    """Return (id, name, model name) of the styles that a tenant may name in `model=`, by name."""
    styles = Style.objects.usable_by(tenant.pk).select_related("approved_version").order_by("name", "pk")
    return [(style.pk, style.show_to(tenant.pk).name, style.model_name) for style in styles]


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
        styles = styles.filter(texts | Q(slug__icontains=word) | Q(owner__name__icontains=word))
    return styles


def _cards(tenant: Tenant, styles: QuerySet[Style]) -> list[Card]:
    shown = styles.filter(retired_at=None).order_by("name", "pk").distinct()
    shown = shown.select_related("owner", "live_version__probe", "approved_version__probe")
    # A card shows neither of these, and they are long.
    shown = shown.defer(
        "live_version__probe__samples",
        "live_version__probe__shifts",
        "approved_version__probe__samples",
        "approved_version__probe__shifts",
    )
    found = [style.show_to(tenant.pk) for style in shown[:MAX_CARDS]]
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
        sample=style.sample,
        sample_prompt=style.sample_prompt,
        owner_name=style.owner.name,
        owner_slug=style.owner.slug,
        author=style.author,
        licence=style.licence,
        is_own=is_own,
        is_selected=style.pk in selected,
        is_public=style.is_public,
        is_shared=style.pk in shares,
        ends_at=None if is_own else _ends_at(style, shares),
        live_version=style.live_version,
        newest_version=newest,
        effects=cards.facts_of(style.live_version),
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
    newest = versions.order_by("style", "-number").distinct("style")
    return {version.style_id: version for version in newest}
