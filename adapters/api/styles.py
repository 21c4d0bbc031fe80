"""Styles: list, create, get, edit, delete, select, offer to the catalogue."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import (
    StyleAddress,
    find_own_style,
    find_style,
    lock_own_style,
    only_allowed,
    with_base_model,
)
from adapters.api.bodies import AtOnceBody, OfferBody
from adapters.api.examples import ERASURE_EXAMPLE, STYLE_EXAMPLE
from adapters.api.presenters import (
    ErasureObject,
    StyleObject,
    present_erasures,
    present_style,
    present_styles,
)
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.catalog import queries
from adapters.catalog.queries import Kind
from adapters.catalog.style_fields import MOST_TAGS, WORDS_CHARACTERS
from adapters.catalog.terms import Terms, asked_terms
from adapters.models import Erasure, Selection, Style
from adapters.releases import diff
from core.rest.bodies import StrictSerializer, TextField
from tenants.rest import idempotent

ORDERS = {
    "-created_at": ("-created_at", "-pk"),
    "created_at": ("created_at", "pk"),
    "name": ("shown_name",),
    "-name": ("-shown_name",),
}
MAX_SEARCH_CHARACTERS = 100


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
    tag = TextField(max_length=30, required=False, allow_blank=True, help_text="Filter by tag.")
    language = TextField(
        max_length=10, required=False, allow_blank=True, help_text="Filter by language code, such as `en`."
    )
    order = serializers.ChoiceField(
        list(ORDERS), default="-created_at", help_text="Sort order. Default: newest first."
    )


class WordsBody(StrictSerializer):
    """A style's public details."""

    # How long each may be, and what it may contain, is checked with the pages' words: see words.py.
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
        child=TextField(max_length=30),
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

    slug = TextField(max_length=40, help_text="The second part of `model`, after your workspace's slug.")
    name = TextField(help_text=f"At most {WORDS_CHARACTERS['name']} characters.")


class StyleBody(WordsBody):
    """The fields of a style that can be updated."""

    test_prompts = serializers.ListField(
        child=TextField(max_length=diff.PROMPT_CHARACTERS),
        max_length=diff.PROMPTS_MAX,
        required=False,
        help_text="The prompts the studio uses to compare versions.",
    )


class DeletedStyle(serializers.Serializer[Any]):
    """The erasures that a deleted style began, one a version."""

    data = ErasureObject(many=True)  # type: ignore[assignment]


class StylesView(StyleApiView):
    """The styles that the workspace may see, and new ones of its own."""

    @read_operation(
        "styles.list",
        "List styles",
        query=StylesQuery,
        answer=StyleObject,
        is_page=True,
        example=STYLE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the styles visible to the workspace: its own, shared, selected and public ones."""
        query = self.read_query(StylesQuery)
        tenant = self.access.tenant
        styles = queries.list_styles(tenant, query.get("kind", ""), query.get("search", ""))
        styles = queries.narrow(styles, tag=query.get("tag", ""), language=query.get("language", ""))
        styles = only_allowed(self.access, styles)
        if "name" in query["order"]:
            styles = queries.with_shown_name(tenant, styles)
        return self.answer_page(with_base_model(styles), lambda page: present_styles(page, tenant))

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order that the request names."""
        return ORDERS[request.query_params.get("order", "-created_at")]

    @write_operation(
        "styles.create",
        "Create a style",
        body=NewStyleBody,
        answer=StyleObject,
        status=201,
        is_post=True,
        example=STYLE_EXAMPLE,
        body_example={"slug": "brand-voice", "name": "Brand voice", "sample_prompt": "Announce a sale."},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Create a style in the workspace. Upload a version next."""
        words = self.read_body(NewStyleBody)
        style = actions.create_style(self.access, words.pop("slug"), words)
        return self.answer_object(present_style(style, self.access.tenant), status=201)


class StyleView(StyleApiView):
    """One style."""

    @read_operation("styles.get", "Get a style", answer=StyleObject, example=STYLE_EXAMPLE)
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return a style visible to the workspace."""
        return self.answer_object(present_style(find_style(self.access, style), self.access.tenant))

    @write_operation(
        "styles.edit",
        "Update a style's details",
        body=StyleBody,
        answer=StyleObject,
        is_edit=True,
        example=STYLE_EXAMPLE,
        body_example={"description": "How we write to customers."},
    )
    @transaction.atomic
    def patch(self, request: Request, style: StyleAddress) -> Response:
        """Update the fields in the body. Changes to a public style are visible to others once operators
        approve them."""
        own = lock_own_style(self.access, style)
        self.require_match(present_style(own, self.access.tenant))
        words = self.read_body(StyleBody)
        prompts = words.pop("test_prompts", None)
        if prompts is not None:
            # A prompt is a line.
            actions.set_test_prompts(self.access, own, diff.parse_prompts("\n".join(prompts)))
        actions.edit_style(self.access, own, words)
        return self.answer_style(style)

    @write_operation(
        "styles.delete",
        "Delete a style",
        body=AtOnceBody,
        answer=DeletedStyle,
        status=202,
        is_edit=True,
        example={"data": [ERASURE_EXAMPLE]},
        body_example={"at_once": False},
    )
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress) -> Response:
        """Start erasing all versions of a style and return the erasures. Its usage stays in the ledger."""
        own = find_own_style(self.access, style)
        self.require_match(present_style(own, self.access.tenant))
        body = self.read_body(AtOnceBody)
        begun = actions.delete_style(self.access, own, at_once=body["at_once"])
        erasures = Erasure.objects.filter(pk__in=[erasure.pk for erasure in begun])
        shown = erasures.select_related("version__style__owner").order_by("version__number")
        return Response({"data": present_erasures(list(shown))}, status=202)


class SelectionView(StyleApiView):
    """Whether the workspace has a style in its library."""

    @write_operation(
        "styles.select",
        "Select a style",
        answer=StyleObject,
        example=STYLE_EXAMPLE,
        is_change=True,
    )
    @transaction.atomic
    def put(self, request: Request, style: StyleAddress) -> Response:
        """Select a public or shared style. Repeating the call has no effect."""
        chosen = find_style(self.access, style)
        actions.select_style(self.access, chosen)
        return self.answer_object(present_style(chosen, self.access.tenant))

    @write_operation("styles.unselect", "Deselect a style", status=204, is_change=True)
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress) -> Response:
        """Deselect a style, including one that is no longer available."""
        tenant = self.access.tenant
        selected = Selection.objects.filter(tenant=tenant).values("style")
        visible = Style.objects.visible_to(tenant.pk).values("pk")
        known = Style.objects.filter(Q(pk__in=selected) | Q(pk__in=visible)).select_related("owner")
        actions.unselect_style(self.access, style.choose(known, tenant))
        return Response(status=204)


class OfferView(StyleApiView):
    """Whether a style is in, or is offered to, the public catalogue."""

    @write_operation(
        "styles.offer",
        "Offer a style to the public catalogue",
        body=OfferBody,
        answer=StyleObject,
        is_post=True,
        example=STYLE_EXAMPLE,
        body_example={
            "prices": {"input_nanousd": 500, "cached_input_nanousd": 125, "output_nanousd": 2000},
            "author_percent": 20,
        },
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress) -> Response:
        """Offer a style with your requested price; operators approve both. It cancels a pending removal from
        the catalogue. Without a body, the previous price request is kept."""
        body = self.read_body(OfferBody)
        own = lock_own_style(self.access, style)
        if own.is_public:
            actions.keep_public(self.access, own)
        else:
            actions.offer_style(self.access, own, _read_terms(own, body))
        return self.answer_style(style)

    @write_operation(
        "styles.withdraw",
        "Withdraw a style from the catalogue",
        answer=StyleObject,
        example=STYLE_EXAMPLE,
        is_change=True,
    )
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress) -> Response:
        """Withdraw an offer that is not approved yet. A public style leaves the catalogue after the notice
        period."""
        own = lock_own_style(self.access, style)
        if own.is_public:
            actions.take_back_style(self.access, own)
        else:
            actions.withdraw_offer(self.access, own)
        return self.answer_style(style)


def _read_terms(style: Style, body: dict[str, Any]) -> Terms | None:
    """Return what a body asks for; what it does not name stays. None: it names nothing."""
    if not body:
        return None
    before = asked_terms(style)
    return Terms(body.get("prices", before.amounts), body.get("author_percent", before.author_percent))
