"""The catalogue: the styles that a tenant sees, those that it selected, and what others see of its own."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Q, QuerySet, When
from django.utils import timezone

from adapters.errors import StyleNotFound
from adapters.models import AdapterVersion, Selection, Share, Status, Style
from adapters.models.styles import is_public_now, is_reviewed_for
from adapters.quality import cards
from adapters.releases import review
from adapters.routing import publisher
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


def find_usable_style(tenant: Tenant, model_name: str) -> Style:
    """Return the style that a tenant means by `model=`, also with `@live`, `@canary` or `@3` behind its name.

    Its own short names win. Raises StyleNotFound, also where the alias leads nowhere.
    """
    name, separator, alias = model_name.partition("@")
    owner_slug, _, slug = name.rpartition("/")
    if owner_slug:
        owned = Q(owner__slug=owner_slug, owner__is_first_party=False)
    else:
        owned = Q(owner__is_first_party=True) | Q(owner=tenant)
    usable = Style.objects.usable_by(tenant.pk).filter(owned, slug=slug)
    own_first = Case(When(owner=tenant, then=0), default=1)
    style = usable.order_by(own_first).first()
    if style is None or (separator and not _has_alias(tenant, style, alias)):
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


def select_style(tenant: Tenant, style: Style) -> None:
    """Take a style into a tenant's library. Raises StyleNotFound for one that is not offered to it."""
    if not Style.objects.selectable_by(tenant.pk).filter(pk=style.pk).exists():
        raise StyleNotFound
    with transaction.atomic():
        Selection.objects.get_or_create(tenant=tenant, style=style)
        publisher.mark_tenants_changed([tenant.pk])


def unselect_style(tenant: Tenant, style: Style) -> None:
    """Take a style out of a tenant's library; it may be selected again at any time."""
    with transaction.atomic():
        Selection.objects.filter(tenant=tenant, style=style).delete()
        publisher.mark_tenants_changed([tenant.pk])


def set_public(style: Style, *, public: bool = True) -> None:
    """Put a style into everybody's catalogue as it is now, or take it out: who selected it loses it."""
    with transaction.atomic():
        Style.objects.filter(pk=style.pk).update(
            is_public=public,
            public_since=timezone.now() if public else None,
            public_until=None,
            offered_at=None,
            declined_reason="",
            declined_at=None,
        )
        held = Style.objects.select_for_update(no_key=True).get(pk=style.pk)
        if held.is_reviewed:
            review.approve_version(held)
        elif not public:
            review.discard_review(held)
        publisher.mark_changed(style)
    style.is_public = public


def describe_style(style: Style, **texts: str) -> None:
    """Change what people read about a style; another prompt gets another sample.

    Of a public style others read the words that were approved until operators approve these, too.
    """
    if texts.get("sample_prompt", style.sample_prompt) != style.sample_prompt:
        texts["sample"] = ""
    with transaction.atomic():
        Style.objects.filter(pk=style.pk).update(changed_at=timezone.now(), **texts)
        publisher.mark_changed(style)  # its routes carry the description, for the list of models


def _has_alias(tenant: Tenant, style: Style, alias: str) -> bool:
    """Return whether what is typed behind a style's name and an @ leads a tenant to a version."""
    is_reviewed = style.is_reviewed and style.owner_id != tenant.pk
    serving = style.versions.filter(status=Status.SERVING)
    if is_reviewed:
        serving = serving.exclude(approved_at=None)
    if alias == "live":
        return bool(style.approved_version_id if is_reviewed else style.live_version_id)
    if alias == "canary":
        return style.canary_version is not None and serving.filter(pk=style.canary_version.pk).exists()
    return alias.isdecimal() and serving.filter(number=alias).exists()


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
