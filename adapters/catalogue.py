"""The catalogue: what a tenant sees, and what it has selected."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from adapters import routes
from adapters.errors import StyleNotFound
from adapters.models import AdapterVersion, Selection, Style
from tenants.public import Tenant

SHOWN = 500


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
    is_own: bool
    is_selected: bool
    is_public: bool
    live_version: AdapterVersion | None
    newest_version: AdapterVersion | None


def showcase() -> list[Style]:
    """Return a few public styles with a sample, for strangers."""
    shown = Style.objects.filter(is_public=True, live_version__isnull=False).exclude(sample="")
    return list(shown.select_related("owner").order_by("created_at")[:3])


def public_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return everybody's styles that serve, and those that the tenant has selected; three queries for all."""
    seen = Q(live_version__isnull=False) | Q(selections__tenant=tenant)
    return _cards(tenant, _sought(Style.objects.filter(seen, is_public=True), words))


def own_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return the tenant's own styles; three queries for all."""
    return _cards(tenant, _sought(Style.objects.filter(owner=tenant), words))


def card(tenant: Tenant, style: Style) -> Card:
    """Return one style as a tenant sees it."""
    return _cards(tenant, Style.objects.filter(pk=style.pk))[0]


def find(tenant: Tenant, owner_slug: str, slug: str) -> Style:
    """Return a style that a tenant may see. Raises StyleNotFound, also for another tenant's private one."""
    style = Style.objects.visible_to(tenant.pk).filter(owner__slug=owner_slug, slug=slug).first()
    if style is None:
        raise StyleNotFound
    return style


def find_usable(tenant: Tenant, model_name: str) -> Style:
    """Return the style that a tenant means by `model=`; its own short names win. Raises StyleNotFound."""
    owner_slug, _, slug = model_name.rpartition("/")
    short = Q(owner__is_house=True) | Q(owner=tenant)
    owned = Q(owner__slug=owner_slug, owner__is_house=False) if owner_slug else short
    meant = Style.objects.usable_by(tenant.pk).filter(owned, slug=slug)
    styles = sorted(meant, key=lambda style: style.owner_id != tenant.pk)
    if not styles:
        raise StyleNotFound
    return styles[0]


def usable(tenant: Tenant) -> list[Style]:
    """Return the styles with a serving version that a tenant may write in, by name."""
    styles = Style.objects.usable_by(tenant.pk).filter(live_version__isnull=False)
    return list(styles.select_related("live_version").order_by("name", "pk"))


def style_choices(tenant: Tenant) -> list[tuple[UUID, str, str]]:
    """Return (id, name, model name) of the styles that a tenant may name in `model=`, by name."""
    styles = Style.objects.usable_by(tenant.pk).order_by("name", "pk")
    return [(style.pk, style.name, style.model_name) for style in styles]


def select(tenant: Tenant, style: Style) -> None:
    """Take a public style into a tenant's library. Raises StyleNotFound for one that is not public."""
    if not style.is_public:
        raise StyleNotFound
    with transaction.atomic():
        Selection.objects.get_or_create(tenant=tenant, style=style)
        routes.count_change([tenant.pk])


def unselect(tenant: Tenant, style: Style) -> None:
    """Take a style out of a tenant's library; it may be selected again at any time."""
    with transaction.atomic():
        Selection.objects.filter(tenant=tenant, style=style).delete()
        routes.count_change([tenant.pk])


def set_public(style: Style, *, public: bool = True) -> None:
    """Put a style into everybody's catalogue, or take it out: whoever selected it loses it."""
    with transaction.atomic():
        Style.objects.filter(pk=style.pk).update(is_public=public)
        routes.changed(style)
    style.is_public = public


def _sought(styles: QuerySet[Style], words: str) -> QuerySet[Style]:
    for word in words.split()[:10]:
        styles = styles.filter(
            Q(name__icontains=word)
            | Q(slug__icontains=word)
            | Q(description__icontains=word)
            | Q(sample__icontains=word)
            | Q(owner__name__icontains=word)
        )
    return styles


def _cards(tenant: Tenant, styles: QuerySet[Style]) -> list[Card]:
    shown = styles.filter(retired_at=None).select_related("owner", "live_version").distinct()
    found = list(shown.order_by("name", "pk")[:SHOWN])
    selected = set(Selection.objects.filter(tenant=tenant, style__in=found).values_list("style", flat=True))
    newest = _newest(style for style in found if style.owner_id == tenant.pk)
    return [_card(tenant, style, style.pk in selected, newest.get(style.pk)) for style in found]


def _card(tenant: Tenant, style: Style, is_selected: bool, newest: AdapterVersion | None) -> Card:
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
        is_own=style.owner_id == tenant.pk,
        is_selected=is_selected,
        is_public=style.is_public,
        live_version=style.live_version,
        newest_version=newest,
    )


def _newest(styles: Iterable[Style]) -> dict[UUID, AdapterVersion]:
    versions = AdapterVersion.objects.filter(style__in=list(styles))
    return {version.style_id: version for version in versions.order_by("style", "-number").distinct("style")}
