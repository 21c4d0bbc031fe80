"""Styles: list, create, get, edit, delete, select, offer to the catalogue."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import (
    AtOnceBody,
    StyleAddress,
    StyleApiViewSet,
    find_own_style,
    find_style,
    lock_own_style,
    only_allowed,
    with_base_model,
)
from adapters.api.erasures import ErasureObject, present_erasures
from adapters.catalog import queries, selection, sharing
from adapters.catalog.queries import Card, Kind
from adapters.catalog.style_fields import MOST_TAGS
from adapters.catalog.terms import MAX_PERCENT, MAX_PRICE_NANOUSD, Terms, asked_terms
from adapters.models import (
    SLUG_CHARACTERS,
    TAG_CHARACTERS,
    WORDS_CHARACTERS,
    Erasure,
    Selection,
    Status,
    Style,
)
from adapters.releases import diff, review
from core.rest.bodies import StrictSerializer, TextField
from metering.models import TokenPrices
from metering.price_book import Schedule, schedules_of
from tenants.models import Tenant
from tenants.rest import delete, described, post, put

OFFER_STATES = ("none", "offered", "declined", "public", "leaving")
ORDERS = {
    "-created_at": ("-created_at", "-pk"),
    "created_at": ("created_at", "pk"),
    "name": ("shown_name",),
    "-name": ("-shown_name",),
}
MAX_SEARCH_CHARACTERS = 100
AS_ON_A_CARD = (
    *("owner_name", "slug", "name", "description", "author", "licence", "tags", "language"),
    *("sample_prompt", "sample", "effects", "temperature", "top_p"),
    *("is_own", "is_public", "is_shared", "is_selected"),
)


class CanaryShare(serializers.Serializer[Any]):
    """A canary version and its share of requests."""

    version = serializers.IntegerField()
    percent = serializers.IntegerField(initial=10)
    since = serializers.DateTimeField()


class NewestVersion(serializers.Serializer[Any]):
    """The newest version and its status."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(Status.choices, initial="serving")


class QuotedPrices(serializers.Serializer[Any]):
    """The prices requested with an offer, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField()
    cached_input_nanousd = serializers.IntegerField()
    output_nanousd = serializers.IntegerField()


class Offer(serializers.Serializer[Any]):
    """A style's state in the public catalogue. Visible to the owner only."""

    example = dict(asked_prices=None)

    state = serializers.ChoiceField(OFFER_STATES, initial="none")
    offered_at = serializers.DateTimeField(allow_null=True)
    declined_reason = serializers.CharField(
        help_text="The reason operators gave for declining the style or its last change.", initial=""
    )
    asked_prices = QuotedPrices(allow_null=True, help_text="`null` for the standard prices.")
    asked_author_percent = serializers.IntegerField(
        help_text="The percentage of what other workspaces pay.", initial=0
    )
    public_since = serializers.DateTimeField(allow_null=True)
    public_until = serializers.DateTimeField(
        allow_null=True, help_text="When the style leaves the catalogue."
    )
    waiting_version = serializers.IntegerField(
        allow_null=True, help_text="The live version, if it still awaits approval for other workspaces."
    )
    waiting_words = serializers.ListField(
        child=serializers.CharField(), help_text="Fields for which others still see the approved text."
    )


class OwnPrices(serializers.Serializer[Any]):
    """A style's own prices, in billionths of a dollar per token. `null` for the standard prices
    (`billing.get`)."""

    effective_from = serializers.DateTimeField(help_text="When these prices take effect.")
    input_nanousd = serializers.IntegerField(allow_null=True)
    cached_input_nanousd = serializers.IntegerField(allow_null=True)
    output_nanousd = serializers.IntegerField(allow_null=True)
    author_percent = serializers.IntegerField(
        help_text="The percentage of what other workspaces pay that goes to the style's author."
    )


class StyleObject(serializers.Serializer[Any]):
    """A writing style, as visible to the caller. For other public styles, the approved version."""

    example = dict[str, Any](prices=[])

    id = serializers.UUIDField()
    object = serializers.CharField(default="style", read_only=True)
    model = serializers.CharField(help_text="The value for `model`.")
    owner = serializers.CharField(help_text="Slug of the owning workspace.", initial="acme")
    owner_name = serializers.CharField(help_text="Name of the owning workspace.", initial="Acme")
    slug = serializers.CharField(help_text="Short name, used in `model`.", initial="brand-voice")
    name = serializers.CharField(initial="Brand voice")
    description = serializers.CharField(initial="How we write to customers.")
    author = serializers.CharField(help_text="Who trained the style.", initial="Acme's editors")
    licence = serializers.CharField(help_text="The name of a licence, or custom terms.", initial="CC BY 4.0")
    tags = serializers.ListField(
        child=serializers.CharField(), help_text="What the style is for.", initial=["letters", "sales"]
    )
    language = serializers.CharField(
        help_text="Language code, such as `en`. Empty if unspecified.", initial="en"
    )
    sample_prompt = serializers.CharField(initial="Announce a sale.")
    sample = serializers.CharField(
        help_text="The live version's answer to `sample_prompt`.",
        initial="Good news travels fast, and so do our prices.",
    )
    effects = serializers.ListField(
        child=serializers.CharField(),
        help_text="A description of the live version's effect.",
        initial=["strong effect", "9 words per sentence"],
    )
    base_model = serializers.CharField(help_text="Name of the base model.", initial="SmolLM2-135M-Instruct")
    temperature = serializers.FloatField(help_text="What requests get that send none.", initial=0.8)
    top_p = serializers.FloatField(help_text="What requests get that send none.", initial=0.95)
    live_version = serializers.IntegerField(
        allow_null=True, help_text="Number of the live version.", initial=3
    )
    is_own = serializers.BooleanField(help_text="Whether the workspace owns it.", initial=True)
    is_public = serializers.BooleanField(help_text="Listed in the public catalogue.")
    is_shared = serializers.BooleanField(help_text="Shared with this workspace by its owner.")
    is_selected = serializers.BooleanField(help_text="Whether the workspace selected it for use.")
    ends_at = serializers.DateTimeField(allow_null=True, help_text="When this workspace loses access.")
    prices = OwnPrices(
        many=True, help_text="Current prices, then announced ones. Empty for the standard prices."
    )
    canary = CanaryShare(allow_null=True, help_text="Also `null` if another workspace owns the style.")
    newest_version = NewestVersion(allow_null=True, help_text="Visible to the owner only.")
    offer = Offer(allow_null=True, help_text="Visible to the owner only.")
    test_prompts = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Prompts for comparing versions. Visible to the owner only.",
        initial=["Announce a sale.", "Answer a complaint."],
    )
    created_at = serializers.DateTimeField()


class DeletedStyle(serializers.Serializer[Any]):
    """The erasures that a deleted style began, one a version."""

    data = ErasureObject(many=True)  # type: ignore[assignment]


class StylesQuery(StrictSerializer):
    """Which styles, and in which order."""

    kind = serializers.ChoiceField(
        Kind.choices, required=False, help_text="Filter by how the workspace has access."
    )
    search = TextField(
        max_length=MAX_SEARCH_CHARACTERS,
        required=False,
        allow_blank=True,
        help_text="Search terms; all must occur in the name, description, sample, slug or owner.",
    )
    tag = TextField(max_length=TAG_CHARACTERS, required=False, allow_blank=True, help_text="Filter by tag.")
    language = TextField(
        max_length=10, required=False, allow_blank=True, help_text="Filter by language code, such as `en`."
    )
    order = serializers.ChoiceField(
        list(ORDERS), default="-created_at", help_text="Sort order. Default: newest first."
    )


class WordsBody(StrictSerializer):
    """A style's public details."""

    # How long each may be, and what it may contain, is checked as on the pages: see style_fields.word_faults.
    name = TextField(required=False, help_text=f"At most {WORDS_CHARACTERS['name']} characters.")
    description = TextField(required=False, allow_blank=True)
    sample_prompt = TextField(
        required=False,
        allow_blank=True,
        help_text="The prompt behind the sample. Changing it creates a new sample.",
    )
    author = TextField(
        required=False,
        allow_blank=True,
        help_text="Who trained the style. Can't change while it is offered or public.",
    )
    licence = TextField(
        required=False,
        allow_blank=True,
        help_text="The name of a licence, such as `CC BY 4.0`, or custom terms. Can't change while the style "
        "is offered or public.",
    )

    tags = serializers.ListField(
        child=TextField(max_length=TAG_CHARACTERS),
        max_length=MOST_TAGS,
        required=False,
        help_text="What the style is for: lowercase letters, digits, hyphens. Can't change while the style "
        "is offered or public.",
    )
    language = TextField(
        required=False,
        allow_blank=True,
        help_text="Language code, such as `en` or `pt-br`. Can't change while offered or public.",
    )
    temperature = serializers.FloatField(
        required=False,
        allow_null=True,
        help_text="For requests that send none, from 0.1 to 2. `null` for the service's default.",
    )
    top_p = serializers.FloatField(
        required=False,
        allow_null=True,
        help_text="For requests that send none, from 0.1 to 1. `null` for the service's default.",
    )


class NewStyleBody(WordsBody):
    """A new style."""

    example = dict(slug="brand-voice", name="Brand voice", sample_prompt="Announce a sale.")

    slug = TextField(
        max_length=SLUG_CHARACTERS, help_text="The second part of `model`, after your workspace's slug."
    )
    name = TextField(help_text=f"At most {WORDS_CHARACTERS['name']} characters.")


class StyleBody(WordsBody):
    """The fields of a style that can be updated."""

    example = dict(description="How we write to customers.")

    test_prompts = serializers.ListField(
        child=TextField(max_length=diff.PROMPT_CHARACTERS),
        max_length=diff.PROMPTS_MAX,
        required=False,
        help_text="The prompts the studio uses to compare versions.",
    )


class AskedPricesBody(StrictSerializer):
    """A style's own prices, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD, initial=500)
    cached_input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD, initial=125)
    output_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD, initial=2000)

    def validate(self, attrs: dict[str, int]) -> Any:
        """Return the prices as `Terms` has them."""
        return TokenPrices(**attrs)


class OfferBody(StrictSerializer):
    """The price requested with an offer. Omitted fields keep their previous values."""

    prices = AskedPricesBody(
        required=False,
        allow_null=True,
        help_text="Each price must be at least the standard price. `null` for the standard prices.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        required=False,
        help_text="The author's percentage of what other workspaces pay, paid in credits.",
        initial=20,
    )


class StyleViewSet(StyleApiViewSet):
    """Styles that the workspace may see, and its own."""

    tag, noun, nouns = "styles", "style", "styles"
    reads = {"retrieve": "Return a style visible to the workspace."}
    serializer_class = StyleObject
    new_body = NewStyleBody
    body = StyleBody
    query = StylesQuery
    lookup_url_kwarg = "style"

    def get_object(self, *, is_locked: bool = False) -> Style:
        """Return the style that the address names: one of the caller's own, or one that it may see."""
        tenant = self.access.tenant
        address: StyleAddress = self.kwargs["style"]
        if self.action in ("retrieve", "select"):
            return find_style(self.access, address)
        if self.action == "unselect":  # also one that is no longer available
            selected = Selection.objects.filter(tenant=tenant).values("style")
            visible = Style.objects.visible_to(tenant.pk).values("pk")
            known = Style.objects.filter(Q(pk__in=selected) | Q(pk__in=visible))
            return address.choose(known.select_related("owner"), tenant)
        find = lock_own_style if is_locked else find_own_style
        return find(self.access, address)

    def present(self, row: Style) -> dict[str, Any]:
        return present_style(row, self.access.tenant)

    def present_page(self, rows: Sequence[Style]) -> Any:
        return present_styles(rows, self.access.tenant)

    def order_by(self, request: Request) -> tuple[str, ...]:
        return ORDERS[request.query_params.get("order", "-created_at")]

    def list(self) -> QuerySet[Style]:
        """Return the styles visible to the workspace: its own, shared, selected and public ones."""
        query = self.read_query(StylesQuery)
        tenant = self.access.tenant
        styles = queries.list_styles(tenant, query.get("kind", ""), query.get("search", ""))
        styles = queries.narrow(styles, tag=query.get("tag", ""), language=query.get("language", ""))
        styles = only_allowed(self.access, styles)
        if "name" in query["order"]:
            styles = queries.with_shown_name(tenant, styles)
        return with_base_model(styles)

    def create(self, words: dict[str, Any]) -> Style:
        """Create a style in the workspace. Upload a version next."""
        return actions.create_style(self.access, words.pop("slug"), words)

    @described(summary="Update a style's details")
    def partial_update(self, style: Style, words: dict[str, Any]) -> None:
        """Update the fields in the body. Changes to a public style are visible to others once operators
        approve them."""
        prompts = words.pop("test_prompts", None)
        if prompts is not None:
            # A prompt is a line.
            selection.set_test_prompts(self.access, style, diff.parse_prompts("\n".join(prompts)))
        selection.edit_style(self.access, style, words)

    @described(body=AtOnceBody, answer=DeletedStyle, status=202, is_locked=False)
    def destroy(self, style: Style, body: dict[str, Any]) -> Response:
        """Start erasing all versions of a style and return the erasures. Its usage stays in the ledger."""
        begun = actions.delete_style(self.access, style, at_once=body["at_once"])
        erasures = Erasure.objects.filter(pk__in=[erasure.pk for erasure in begun])
        shown = erasures.select_related("version__style__owner").order_by("version__number")
        return Response({"data": present_erasures([*shown])}, status=202)

    @put("Select a style", url_path="selection")
    def select(self, style: Style) -> Style:
        """Select a public or shared style. Repeating the call has no effect."""
        selection.select_style(self.access, style)
        return style

    @delete("Deselect a style", url_path="selection", answer=None)
    def unselect(self, style: Style) -> None:
        """Deselect a style, including one that is no longer available."""
        selection.unselect_style(self.access, style)

    @post("Offer a style to the public catalogue", body=OfferBody, is_locked=True)
    def offer(self, style: Style, body: dict[str, Any]) -> None:
        """Offer a style with your requested price; operators approve both. It cancels a pending removal from
        the catalogue. Without a body, the previous price request is kept."""
        if style.is_public:
            sharing.keep_public(self.access, style)
        else:
            sharing.offer_style(self.access, style, _read_terms(style, body))

    @delete("Withdraw a style from the catalogue", url_path="offer", is_locked=True)
    def withdraw(self, style: Style) -> None:
        """Withdraw an offer that is not approved yet. A public style leaves the catalogue after the notice
        period."""
        if style.is_public:
            sharing.take_back_style(self.access, style)
        else:
            sharing.withdraw_offer(self.access, style)


def _read_terms(style: Style, body: dict[str, Any]) -> Terms | None:
    """Return what a body asks for; what it does not name stays. None: it names nothing."""
    if not body:
        return None
    before = asked_terms(style)
    return Terms(body.get("prices", before.amounts), body.get("author_percent", before.author_percent))


def present_style(style: Style, tenant: Tenant) -> dict[str, Any]:
    """Return a style as a workspace may see it."""
    return present_styles([style], tenant)[0]


def present_styles(styles: Sequence[Style], tenant: Tenant) -> list[dict[str, Any]]:
    """Return some styles as a workspace may see them, in their order; five queries for all."""
    # Others' styles get the approved words: see `Style.show_to`.
    shown = [style if style.owner_id == tenant.pk else copy(style) for style in styles]
    queries.read_versions(shown)
    style_ids = [style.pk for style in shown]
    schedules = schedules_of(style_ids, timezone.now())
    objects = []
    for style, card in zip(shown, queries.cards_of(tenant, shown), strict=True):
        objects.append(_present_card_of_style(style, card, schedules.get(style.pk, [])))
    return objects


def present_own_style(style: Style) -> dict[str, Any]:
    """Return a style as its owner sees it; its events, which are the owner's, carry it."""
    return present_style(style, style.owner)


def _present_card_of_style(style: Style, card: Card, schedule: Schedule) -> dict[str, Any]:
    """Return the fields of StyleObject. Written out: a serializer takes 15 ms for a page of 100 styles."""
    own = _owners_facts(style, card) if card.is_own else {}
    return {
        "id": str(card.id),
        "object": "style",
        "model": card.model_name,
        "owner": card.owner_slug,
        **{name: getattr(card, name) for name in AS_ON_A_CARD},
        "base_model": style.base_model.name,
        "live_version": card.live_version.number if card.live_version else None,
        "ends_at": _write_time(card.ends_at),
        "prices": [
            {"effective_from": _write_time(entry.effective_from)}
            | Terms(entry.amounts, entry.author_percent).columns
            for entry in schedule
        ],
        **{name: own.get(name) for name in ("canary", "newest_version", "offer", "test_prompts")},
        "created_at": _write_time(style.created_at),
    }


def _owners_facts(style: Style, card: Card) -> dict[str, Any]:
    """Return what only its owner sees of a style."""
    pending = review.pending_review(style)
    canary = None
    if style.canary_version:
        canary = {
            "version": style.canary_version.number,
            "percent": style.canary_percent,
            "since": _write_time(style.canary_since),
        }
    newest = None
    if card.newest_version:
        newest = {"number": card.newest_version.number, "status": card.newest_version.status}
    asked = asked_terms(style)
    offer = {
        "state": _offer_state(style),
        "offered_at": _write_time(style.offered_at),
        "declined_reason": style.declined_reason,
        "asked_prices": asked.amounts._asdict() if asked.amounts else None,
        "asked_author_percent": asked.author_percent,
        "public_since": _write_time(style.public_since),
        "public_until": _write_time(style.public_until),
        "waiting_version": pending.live.number if pending and pending.live else None,
        "waiting_words": sorted(pending.words) if pending else [],
    }
    return {
        "canary": canary,
        "newest_version": newest,
        "offer": offer,
        "test_prompts": style.test_prompts.splitlines(),
    }


def _write_time(at: datetime | None) -> str | None:
    """Return a time as REST framework's serializers write it."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def _offer_state(style: Style) -> str:
    if style.is_public:
        return "leaving" if style.public_until else "public"
    if style.offered_at:
        return "offered"
    return "declined" if style.declined_reason else "none"
