"""How a request names a style, its versions: looked up among what the caller may see, so the rest is 404.

`StyleApiViewSet` is what all operations on styles have in common.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model, Prefetch, Q, QuerySet
from rest_framework import serializers

from adapters.errors import StyleNotFound, VersionNotFound
from adapters.models import AdapterVersion, BaseModel, Style
from core.rest.bodies import StrictSerializer
from core.rest.problems import MAX_REPEATED
from tenants.access import Access
from tenants.models import Scope, Tenant
from tenants.rest import WorkspaceViewSet

UUID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SEGMENT = "[^/]+"
# What follows a style in an address: `styles/acme/versions` is the versions of the own style `acme`.
BELOW_A_STYLE = (
    *("selection", "offer", "price", "shares", "versions"),
    *("rollback", "canary", "compare", "releases", "draft_checks"),
)
NOT_BELOW = f"(?!(?:{'|'.join(BELOW_A_STYLE)})(?:/|$))"


class NoSuchStyle(StyleNotFound):
    """No such style: “{style}”. Give its name as in `model`, without a version, or its id. `brand-voice` is
    one of your own or one of ours; `acme/brand-voice` belongs to another workspace."""

    code = "style_not_found"


class OthersStyle(StyleNotFound):
    """The style “{style}” belongs to another workspace. Only its owner can see its versions, and change it.
    You can read it at /api/v1/styles/{style}, select it, and write with it."""

    code = "not_your_style"


@dataclass(frozen=True)
class StyleAddress:
    """A style by its id, by its owner's slug and its own, or, as in `model`, by its own slug alone."""

    style_id: UUID | None = None
    owner: str = ""
    slug: str = ""

    def __str__(self) -> str:
        if self.style_id:
            return str(self.style_id)
        return f"{self.owner}/{self.slug}" if self.owner else self.slug

    def condition(self, tenant: Tenant) -> Q:
        """Return the condition that a style is one that a workspace names so: its own, or the first party's.

        PostgreSQL takes no NUL, so an address that has one names nothing.
        """
        if self.style_id:
            return Q(pk=self.style_id)
        if "\0" in str(self):
            return Q(pk=None)
        if self.owner:
            return Q(owner__slug=self.owner, slug=self.slug)
        return Q(slug=self.slug) & (Q(owner=tenant) | Q(owner__is_first_party=True))

    def choose(self, styles: QuerySet[Style], tenant: Tenant) -> Style:
        """Return the one of some styles that a workspace names so; its own first. Raises NoSuchStyle."""
        named = sorted(styles.filter(self.condition(tenant)), key=lambda style: style.owner_id != tenant.pk)
        if not named:
            raise NoSuchStyle(style=str(self)[:MAX_REPEATED])
        return named[0]


class StyleConverter:
    """The part of an address that names a style: its id, what `model` takes, or `owner/slug`.

    It takes any text, so that a wrong name is answered with what is right.
    """

    # A workspace whose slug looks like an id is named by ids only: `<id>/selection` is no style of it.
    regex = f"(?:(?!{UUID_PATTERN}/){SEGMENT}/{NOT_BELOW}{SEGMENT}|{SEGMENT})"

    def to_python(self, value: str) -> StyleAddress:
        """Return the style's address."""
        owner, _, slug = value.rpartition("/")
        if not owner and re.fullmatch(UUID_PATTERN, slug):
            return StyleAddress(style_id=UUID(slug))
        return StyleAddress(owner=owner, slug=slug)

    def to_url(self, value: Any) -> str:
        """Return the address as a text; an id will do, too."""
        return str(value)


def find_style(access: Access, address: StyleAddress) -> Style:
    """Return a style that the caller may see. Raises NoSuchStyle, also for another one's private style."""
    return _find(access, only_allowed(access, Style.objects.visible_to(access.tenant.pk)), address)


def find_own_style(access: Access, address: StyleAddress) -> Style:
    """Return a style of the caller's own. Raises NoSuchStyle, or OthersStyle for another one that is seen."""
    return _find_own(access, _own_styles(access), address)


def lock_own_style(access: Access, address: StyleAddress) -> Style:
    """Return a style of the caller's own, which nobody else changes until the transaction ends.

    So an edit with `If-Match` is of the object that was compared. Raises NoSuchStyle or OthersStyle.
    """
    return _find_own(access, _own_styles(access).select_for_update(no_key=True, of=("self",)), address)


def find_own_version(access: Access, address: StyleAddress, number: int) -> AdapterVersion:
    """Return a version of a style of the caller's own. Raises NoSuchStyle, OthersStyle or
    VersionNotFound."""
    return version_of(find_own_style(access, address), number)


def find_shown_version(access: Access, address: StyleAddress, number: int) -> AdapterVersion:
    """Return any version of a style of the caller's own, of another one that is seen only the live version.

    Raises NoSuchStyle or VersionNotFound.
    """
    style = find_style(access, address)
    if style.owner_id == access.tenant.pk:
        return version_of(style, number)
    live_version = style.show_to(access.tenant.pk).live_version
    if live_version is None or live_version.number != number:
        raise VersionNotFound(number=number)
    return live_version


def version_of(style: Style, number: int) -> AdapterVersion:
    """Return a version of a style by its number. Raises VersionNotFound."""
    version = with_facts(style.versions.all()).filter(number=number).first()
    if version is None:
        raise VersionNotFound(number=number)
    version.style = style
    return version


def with_facts(versions: QuerySet[AdapterVersion]) -> QuerySet[AdapterVersion]:
    """Return versions with what their objects show: no query for each of them."""
    related = versions.select_related("style__owner", "probe", "erasure", "converted_from", "created_by")
    return related.defer("probe__samples", "probe__shifts")


def with_base_model(styles: QuerySet[Style]) -> QuerySet[Style]:
    """Return styles with their owners and base models: two more queries for all.

    Joined, PostgreSQL would join all 10,000 styles of a workspace before it sorts them and keeps 100.
    """
    light = BaseModel.objects.defer("config", "modules")  # the shapes of all weights are large
    return styles.select_related(None).prefetch_related("owner", Prefetch("base_model", light))


def only_allowed[T: Model](access: Access, rows: QuerySet[T], *, style: str = "pk") -> QuerySet[T]:
    """Return those rows whose style a key may use: to a key that is limited to some, the others are 404.

    `style` is the path from a row to its style.
    """
    if access.key and access.key.styles:
        return rows.filter(**{f"{style}__in": access.key.styles})
    return rows


def _own_styles(access: Access) -> QuerySet[Style]:
    return only_allowed(access, Style.objects.filter(owner=access.tenant, retired_at=None))


def _find(access: Access, styles: QuerySet[Style], address: StyleAddress) -> Style:
    return address.choose(with_base_model(styles), access.tenant)


def _find_own(access: Access, own: QuerySet[Style], address: StyleAddress) -> Style:
    try:
        return _find(access, own, address)
    except NoSuchStyle:
        find_style(access, address)  # raises for what the caller doesn't see
        raise OthersStyle(style=str(address)[:MAX_REPEATED]) from None


class AtOnceBody(StrictSerializer):
    """Whether other workspaces lose the style immediately."""

    at_once = serializers.BooleanField(
        default=False,
        help_text="If true, other workspaces lose access to the style immediately. Otherwise the request is "
        "refused while others use it.",
        initial=False,
    )


class StyleApiViewSet(WorkspaceViewSet):
    """Operations on styles, or on what belongs to them: on that of the workspace's own style at least."""

    scope = Scope.STYLES_WRITE
    read_scope = Scope.STYLES_READ

    def own_style(self) -> Style:
        """Return the style of the address, which is the caller's own. Raises NoSuchStyle or OthersStyle."""
        return find_own_style(self.access, self.kwargs["style"])

    def get_object(self, *, is_locked: bool = False) -> Any:
        """Return the style."""
        return self.own_style()

    def find_parent(self) -> None:
        """Find the style for which something is made. Raises NoSuchStyle or OthersStyle."""
        if "style" in self.kwargs:
            self.own_style()

    def present_page(self, rows: Sequence[Any]) -> Any:
        """Return the objects of one page: one serializer for all."""
        return self.serializer_class(rows, many=True).data
