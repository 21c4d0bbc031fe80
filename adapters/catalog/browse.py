"""The list of styles: narrowed by words, kind, tag and language, in an order, page by page.

A page begins after the last row of the one before, so that styles made meanwhile move nothing.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, FloatField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.catalog import queries, selection
from adapters.catalog.queries import Card, Kind
from adapters.catalog.style_fields import LANGUAGES, TAG
from adapters.models import Selection, Style
from adapters.models.styles import is_reviewed_for
from tenants.models import Tenant, User

PAGE_SIZE = 24
MAX_SEARCH_CHARACTERS = 100
MAX_LANGUAGES = 50
FAVOURITE = "favourite"
KINDS = {
    "": _("All"),
    Kind.OWN.value: _("Yours"),
    Kind.SELECTED.value: _("Selected"),
    Kind.SHARED.value: _("Shared with you"),
    Kind.PUBLIC.value: _("Public"),
    FAVOURITE: _("Favourites"),
}
ORDERS = {"name": _("Name"), "newest": _("Newest"), "strongest": _("Strongest effect")}


@dataclass(frozen=True)
class BrowseQuery:
    """What a person wants to see of the list. What makes no sense is left out."""

    words: str = ""
    kind: str = ""
    tag: str = ""
    language: str = ""
    order: str = "name"
    after: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "BrowseQuery":
        """Return the query of an address."""
        kind, order = query.get("kind", ""), query.get("order", "name")
        tag, language = query.get("tag", "").lower(), query.get("language", "")
        return cls(
            words=query.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_CHARACTERS],
            kind=kind if kind in KINDS else "",
            tag=tag if TAG.fullmatch(tag) else "",
            language=language if language in LANGUAGES else "",
            order=order if order in ORDERS else "name",
            after=query.get("after", ""),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves any style out."""
        return bool(self.words or self.kind or self.tag or self.language)


@dataclass(frozen=True)
class StylePage:
    """A page of the list."""

    cards: list[Card]
    next_after: str  # "" at the end
    favourites: set[UUID] = field(default_factory=set)


def browse(tenant: Tenant, user: User, query: BrowseQuery) -> StylePage:
    """Return a page of the styles that a person wishes to see; five queries."""
    kind = "" if query.kind == FAVOURITE else query.kind
    styles = queries.list_styles(tenant, kind, query.words)
    if query.kind == FAVOURITE:
        styles = styles.filter(favourites__user=user)
    styles = queries.narrow(styles, tag=query.tag, language=query.language)
    ids = _after(_ordered(tenant, styles, query.order), query).values("pk")[: PAGE_SIZE + 1]
    # A long list is sorted without its texts and versions, which are read for the page alone.
    page = queries.with_versions(Style.objects.filter(pk__in=ids))
    rows = list(_ordered(tenant, page, query.order))
    shown = rows[:PAGE_SIZE]
    next_after = _cursor_of(shown[-1], query.order) if len(rows) > PAGE_SIZE else ""
    liked = selection.favourites_among(user, [style.pk for style in shown])
    return StylePage(queries.cards_of(tenant, shown), next_after, liked)


def languages_of(tenant: Tenant) -> dict[str, str]:
    """Return code → name of the languages in which the styles that a tenant sees write."""
    codes = queries.list_styles(tenant).exclude(language="").order_by("language")
    found = codes.values_list("language", flat=True).distinct()[:MAX_LANGUAGES]
    return {code: gettext(LANGUAGES.get(code, code)) for code in found}


def count_selected(tenant: Tenant) -> int:
    """Return how many styles of others a tenant has selected and may use."""
    return Selection.objects.in_force().filter(tenant=tenant, style__retired_at=None).count()


def _ordered(tenant: Tenant, styles: QuerySet[Style], order: str) -> QuerySet[Style]:
    if order == "newest":
        return styles.order_by("-created_at", "-pk")
    if order == "strongest":
        approved = When(is_reviewed_for(tenant.pk), then=F("approved_version__probe__strength"))
        answering = Case(approved, default=F("live_version__probe__strength"), output_field=FloatField())
        with_strength = styles.annotate(shown_strength=Coalesce(answering, Value(0.0)))
        return with_strength.order_by("-shown_strength", "-pk")
    return queries.with_shown_name(tenant, styles).order_by("shown_name")  # type: ignore[misc]


def _after(styles: QuerySet[Style], query: BrowseQuery) -> QuerySet[Style]:
    """Return the styles that follow a cursor; all of them for none, or one that can't be read."""
    if not query.after:
        return styles
    try:
        value, pk = urlsafe_b64decode(query.after + "==").decode().rsplit("\n", 1)
        if query.order == "name":
            return styles.filter(shown_name__gt=value.replace("\0", ""))  # type: ignore[misc]
        if query.order == "newest":
            at = datetime.fromisoformat(value)
            return styles.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=UUID(pk)))
        strength = float(value)
        return styles.filter(Q(shown_strength__lt=strength) | Q(shown_strength=strength, pk__lt=UUID(pk)))
    except ValueError:
        return styles


def _cursor_of(style: Style, order: str) -> str:
    """Return the cursor of the page after a style, which was read in that order."""
    if order == "newest":
        value = style.created_at.isoformat()
    elif order == "strongest":
        value = repr(style.shown_strength)  # type: ignore[attr-defined]
    else:
        value = style.shown_name  # type: ignore[attr-defined]
    return urlsafe_b64encode(f"{value}\n{style.pk}".encode()).decode().rstrip("=")
