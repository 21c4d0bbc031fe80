"""Styles, versions, shares, releases and erasures as the API shows them, and as its events carry them."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from adapters.catalog import price_changes, queries
from adapters.catalog.queries import Card
from adapters.catalog.terms import AMOUNTS, asked_terms
from adapters.erasure.report import STAYS, Report, ReportLine, erasure_reports
from adapters.models import AdapterVersion, Erasure, PriceChange, Release, Share, Status, Style
from adapters.quality import cards
from adapters.quality.cards import StyleCard
from adapters.releases import review
from adapters.releases.canary_analysis import CanaryComparison
from core.money import usd
from core.rest.messages import MessageText
from tenants.metering.forms import MILLION
from tenants.metering.price_book import Entry, Schedule, schedules_of
from tenants.models import Tenant

OFFER_STATES = ("none", "offered", "declined", "public", "leaving")


class CanaryShare(serializers.Serializer[Any]):
    """A canary version and its share of requests."""

    version = serializers.IntegerField()
    percent = serializers.IntegerField()
    since = serializers.DateTimeField()


class NewestVersion(serializers.Serializer[Any]):
    """The newest version and its status."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(Status.choices)


class QuotedPrices(serializers.Serializer[Any]):
    """The prices requested with an offer, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField()
    cached_input_nanousd = serializers.IntegerField()
    output_nanousd = serializers.IntegerField()


class Offer(serializers.Serializer[Any]):
    """A style's state in the public catalogue. Visible to the owner only."""

    state = serializers.ChoiceField(OFFER_STATES)
    offered_at = serializers.DateTimeField(allow_null=True)
    declined_reason = serializers.CharField(
        help_text="The reason operators gave for declining the style or its last change."
    )
    asked_prices = QuotedPrices(allow_null=True, help_text="`null` for the standard prices.")
    asked_author_percent = serializers.IntegerField(help_text="The percentage of what other workspaces pay.")
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

    effective_from = serializers.DateTimeField()
    input_nanousd = serializers.IntegerField(allow_null=True)
    cached_input_nanousd = serializers.IntegerField(allow_null=True)
    output_nanousd = serializers.IntegerField(allow_null=True)
    author_percent = serializers.IntegerField(
        help_text="The percentage of what other workspaces pay that goes to the style's author."
    )


class StyleObject(serializers.Serializer[Any]):
    """A writing style, as visible to the caller. For other public styles, the approved version."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="style", read_only=True)
    model = serializers.CharField(help_text="The value for `model`.")
    owner = serializers.CharField(help_text="Slug of the owning workspace.")
    owner_name = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    author = serializers.CharField()
    licence = serializers.CharField(help_text="The name of a licence, or custom terms.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="What the style is for.")
    language = serializers.CharField(help_text="Language code, such as `en`. Empty if unspecified.")
    sample_prompt = serializers.CharField()
    sample = serializers.CharField(help_text="The live version's answer to `sample_prompt`.")
    effects = serializers.ListField(
        child=serializers.CharField(), help_text="A description of the live version's effect."
    )
    base_model = serializers.CharField()
    temperature = serializers.FloatField(help_text="What requests get that send none.")
    top_p = serializers.FloatField(help_text="What requests get that send none.")
    live_version = serializers.IntegerField(allow_null=True, help_text="Number of the live version.")
    is_own = serializers.BooleanField()
    is_public = serializers.BooleanField(help_text="Listed in the public catalogue.")
    is_shared = serializers.BooleanField(help_text="Shared with this workspace by its owner.")
    is_selected = serializers.BooleanField()
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
    )
    created_at = serializers.DateTimeField()


class FindingObject(serializers.Serializer[Any]):
    """A problem found by validation, and how to fix it."""

    code = serializers.CharField(help_text="Stable, machine-readable code. See docs/adapters.md.")
    sentence = MessageText(source="sentence_message")
    fix = MessageText(source="fix_message")
    tensor = serializers.CharField(required=False, help_text="The affected tensor, if any.")


class VersionObject(serializers.Serializer[Any]):
    """An uploaded adapter. Its weights never change, but which version is live can change."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="version", read_only=True)
    style = serializers.UUIDField(source="style_id")  # type: ignore[assignment]
    number = serializers.IntegerField()
    model = serializers.CharField(
        source="model_name", read_only=True, help_text="The value for `model` that addresses this version."
    )
    status = serializers.ChoiceField(Status.choices)
    is_live = serializers.BooleanField(
        read_only=True, help_text="Whether it answers for its style, in its owner's workspace."
    )
    is_canary = serializers.BooleanField(
        read_only=True, help_text="Whether it is tried on a share of the requests."
    )
    is_approved = serializers.BooleanField(
        read_only=True,
        help_text="Whether operators approved this version of a public style for other workspaces.",
    )
    auto_promote = serializers.BooleanField(
        help_text="Whether the version goes live as soon as it is serving."
    )
    note = MessageText(help_text="What the current step is waiting for.")
    failure = MessageText(help_text="Why no engine could load it.")
    share_refusal = MessageText(
        help_text="Why other workspaces can't have it, from its evaluation. Empty if they can."
    )
    findings = FindingObject(many=True, help_text="Why the version was rejected, each with a fix.")
    is_convertible = serializers.BooleanField(
        read_only=True, help_text="Whether `autofix` can correct the version."
    )
    converted_from = serializers.IntegerField(
        source="converted_from.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version that it was converted from.",
    )
    files = serializers.DictField(
        child=serializers.IntegerField(), help_text="Maps file names to sizes in bytes."
    )
    size_bytes = serializers.IntegerField()
    stored_bytes = serializers.IntegerField(help_text="Bytes that count towards the plan's storage.")
    sha256 = serializers.CharField(
        help_text="SHA-256 of adapter_model.safetensors. Empty until it is checked."
    )
    config_sha256 = serializers.CharField()
    rank = serializers.IntegerField(allow_null=True)
    alpha = serializers.FloatField(allow_null=True)
    target_modules = serializers.ListField(child=serializers.CharField())
    stated_quantisation = serializers.CharField()
    effects = serializers.SerializerMethodField(help_text="A description of its effect, once measured.")
    erasure = serializers.SerializerMethodField(help_text="Id of its erasure, once deleted.")
    created_by = serializers.CharField(
        source="created_by.email",
        allow_null=True,
        read_only=True,
        help_text="A person's address; null: a program.",
    )
    created_at = serializers.DateTimeField()
    files_gone_at = serializers.DateTimeField(allow_null=True)

    def get_effects(self, version: AdapterVersion) -> list[str]:
        """Return what its probe found, in words."""
        return cards.facts_of(version)

    def get_erasure(self, version: AdapterVersion) -> str | None:
        """Return the id of its erasure."""
        return str(version.pk) if hasattr(version, "erasure") else None


class SampleObject(serializers.Serializer[Any]):
    """A prompt with the answers of the base model and the style."""

    prompt = serializers.CharField()
    base = serializers.CharField()
    style = serializers.CharField()  # type: ignore[assignment]


class ShiftObject(serializers.Serializer[Any]):
    """How much an adapter shifts the base model's output for a prompt."""

    prompt = serializers.CharField()
    shift = serializers.FloatField(help_text="In nats per token.")


class MeasureObject(serializers.Serializer[Any]):
    """A measurement over all sample answers."""

    label = serializers.CharField()  # type: ignore[assignment]
    base = serializers.CharField()
    style = serializers.CharField()  # type: ignore[assignment]


class CardObject(serializers.Serializer[Any]):
    """A version's style card: its effect on the base model, measured on an engine."""

    object = serializers.CharField(default="card", read_only=True)
    version = serializers.IntegerField(source="number")
    strength = serializers.FloatField(help_text="Mean shift of log probabilities, in nats per token.")
    effect = serializers.CharField(source="word", help_text="The effect size as a word.")
    factor = serializers.FloatField(
        help_text="Factor by which the probability of a likely next token changes."
    )
    peer = serializers.CharField(
        source="peer.version.style.model_name",
        allow_null=True,
        help_text="A well-known style for comparison.",
    )
    peer_strength = serializers.FloatField(source="peer.strength", allow_null=True)
    shifts = ShiftObject(many=True, source="bars")
    measures = MeasureObject(many=True, source="rows")
    phrases = serializers.ListField(
        child=serializers.CharField(), help_text="Phrases typical of its answers."
    )
    samples = SampleObject(many=True)


class FiguresObject(serializers.Serializer[Any]):
    """Completed requests of a version."""

    requests = serializers.IntegerField()
    errors = serializers.IntegerField(help_text="Requests that failed on the engine.")  # type: ignore[assignment]
    empty = serializers.IntegerField(help_text="Empty answers.")
    completion_tokens = serializers.IntegerField()
    error_percent = serializers.FloatField()
    empty_percent = serializers.FloatField()


class CanaryObject(serializers.Serializer[Any]):
    """A canary compared to the live version: metrics of both over the same period, at most a day."""

    object = serializers.CharField(default="canary", read_only=True)
    version = serializers.IntegerField(source="canary.number")
    live_version = serializers.IntegerField(source="live.number")
    percent = serializers.IntegerField()
    since = serializers.DateTimeField()
    figures = FiguresObject(source="canary_figures")
    live_figures = FiguresObject()
    sentence = serializers.CharField(help_text="What the metrics show.")
    fault = MessageText(help_text="Why the canary is about to end automatically. Otherwise empty.")


class ReleaseObject(serializers.Serializer[Any]):
    """A change of an alias: a new live version, or a canary with a share of requests."""

    object = serializers.CharField(default="release", read_only=True)
    alias = serializers.ChoiceField(Release.Alias.choices)
    before = serializers.IntegerField(
        source="before.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version before.",
    )
    after = serializers.IntegerField(
        source="after.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version afterwards.",
    )
    percent = serializers.IntegerField(help_text="The canary's share of requests, in percent.")
    sentence = serializers.CharField()
    reason = MessageText()
    actor = serializers.CharField(
        source="actor.email",
        allow_null=True,
        read_only=True,
        help_text="Email address of the member. `null` if automatic or done by a program.",
    )
    api_key = serializers.UUIDField(source="api_key_id", allow_null=True, help_text="The API key used.")
    at = serializers.DateTimeField()


class ShareObject(serializers.Serializer[Share]):
    """A style shared with another workspace."""

    object = serializers.CharField(default="share", read_only=True)
    style = serializers.UUIDField(source="style_id")  # type: ignore[assignment]
    model = serializers.CharField(source="style.model_name")
    workspace = serializers.CharField(source="tenant.slug")
    workspace_name = serializers.CharField(source="tenant.name")
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True, help_text="When access ends, once revoked.")


class PricesInDollars(serializers.Serializer[Any]):
    """Prices per million tokens, in dollars."""

    input = serializers.CharField()
    cached_input = serializers.CharField()
    output = serializers.CharField()


class PriceChangeObject(serializers.Serializer[Any]):
    """A price change of a public style: requested by its owner, approved by operators, then in effect."""

    object = serializers.CharField(default="price_change", read_only=True)
    model = serializers.CharField(source="change.style.model_name")
    state = serializers.ChoiceField(PriceChange.State.choices, source="change.state")
    prices = QuotedPrices(allow_null=True, help_text="`null` for the standard prices.")
    prices_usd = PricesInDollars(help_text="Per million tokens.")
    author_percent = serializers.IntegerField(source="change.author_percent")
    first_day = serializers.DateField(source="change.first_day", help_text="Requested start date.")
    effective_from = serializers.DateTimeField(
        source="change.effective_from", allow_null=True, help_text="Effective date, once approved."
    )
    reason = serializers.CharField(source="change.reason", help_text="Reason it was declined.")
    asked_at = serializers.DateTimeField(source="change.asked_at")


class ErasureStep(serializers.Serializer[ReportLine]):
    """A step of an erasure, with its proof."""

    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.ChoiceField(("done", "current", "next"))
    at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(help_text="The proof, or what the step is waiting for.")


class ErasureObject(serializers.Serializer[Any]):
    """The erasure of a deleted version's files, step by step, each with its proof."""

    id = serializers.UUIDField(help_text="The version's id.")
    object = serializers.CharField(default="erasure", read_only=True)
    style = serializers.CharField(help_text="The style's model name at the time.")  # type: ignore[assignment]
    version = serializers.IntegerField()
    sha256 = serializers.CharField()
    config_sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    is_finished = serializers.BooleanField()
    steps = ErasureStep(many=True)
    stays = serializers.CharField(help_text="Which records are kept, and why.")


def present_style(style: Style, tenant: Tenant) -> dict[str, Any]:
    """Return a style as a workspace may see it."""
    return present_styles([style], tenant)[0]


def present_styles(styles: Sequence[Style], tenant: Tenant) -> list[dict[str, Any]]:
    """Return some styles as a workspace may see them, in their order; seven queries for all."""
    # Others' styles get the approved words: see `Style.show_to`.
    shown = [style if style.owner_id == tenant.pk else copy(style) for style in styles]
    queries.read_versions(shown)
    style_ids = [style.pk for style in shown]
    schedules = price_changes.add_agreed(schedules_of(style_ids, timezone.now()), style_ids)
    objects = []
    for style, card in zip(shown, queries.cards_of(tenant, shown), strict=True):
        objects.append(_present_card_of_style(style, card, schedules.get(style.pk, [])))
    return objects


def present_own_style(style: Style) -> dict[str, Any]:
    """Return a style as its owner sees it; its events, which are the owner's, carry it."""
    return present_style(style, style.owner)


def present_version(version: AdapterVersion) -> dict[str, Any]:
    """Return a version as its owner sees it."""
    return present_versions([version])[0]


def present_versions(versions: Sequence[AdapterVersion]) -> list[dict[str, Any]]:
    """Return some versions as their owner sees them, in their order."""
    return list(VersionObject(versions, many=True).data)


def present_share(share: Share) -> dict[str, Any]:
    """Return a share as its owner, and the workspace that it is for, see it."""
    return dict(ShareObject(share).data)


def present_price_change(change: PriceChange) -> dict[str, Any]:
    """Return a price that is asked for, or agreed, of a public style."""
    terms = price_changes.terms_of(change)
    written = dict(zip(("input", "cached_input", "output"), terms.charged, strict=True))
    facts = {
        "change": change,
        "prices": dict(zip(AMOUNTS, terms.amounts, strict=True)) if terms.amounts else None,
        "prices_usd": {name: usd(MILLION * amount) for name, amount in written.items()},
    }
    return dict(PriceChangeObject(facts).data)


def present_releases(releases: Sequence[Release]) -> list[dict[str, Any]]:
    """Return some moves of aliases, in their order."""
    return list(ReleaseObject(releases, many=True).data)


def present_erasure(erasure: Erasure) -> dict[str, Any]:
    """Return an erasure with the proof of each step."""
    return present_erasures([erasure])[0]


def present_erasures(erasures: Sequence[Erasure]) -> list[dict[str, Any]]:
    """Return some erasures, in their order; two queries for all that are read with version and style."""
    facts = []
    for erasure, report in zip(erasures, erasure_reports(erasures), strict=True):
        facts.append(_erasure_facts(erasure, report))
    return list(ErasureObject(facts, many=True).data)


def present_card(card: StyleCard) -> dict[str, Any]:
    """Return a style card."""
    return dict(CardObject(card).data)


def present_canary(comparison: CanaryComparison) -> dict[str, Any]:
    """Return a canary with its figures."""
    return dict(CanaryObject(comparison).data)


def _present_card_of_style(style: Style, card: Card, schedule: Schedule) -> dict[str, Any]:
    """Return the fields of StyleObject. Written out: a serializer takes 15 ms for a page of 100 styles."""
    own = _owners_facts(style, card) if card.is_own else {}
    return {
        "id": str(card.id),
        "object": "style",
        "model": card.model_name,
        "owner": card.owner_slug,
        "owner_name": card.owner_name,
        "slug": card.slug,
        "name": card.name,
        "description": card.description,
        "author": card.author,
        "licence": card.licence,
        "tags": card.tags,
        "language": card.language,
        "sample_prompt": card.sample_prompt,
        "sample": card.sample,
        "effects": card.effects,
        "base_model": style.base_model.name,
        "temperature": card.temperature,
        "top_p": card.top_p,
        "live_version": card.live_version.number if card.live_version else None,
        "is_own": card.is_own,
        "is_public": card.is_public,
        "is_shared": card.is_shared,
        "is_selected": card.is_selected,
        "ends_at": _write_time(card.ends_at),
        "prices": [_present_prices(entry) for entry in schedule],
        "canary": own.get("canary"),
        "newest_version": own.get("newest_version"),
        "offer": own.get("offer"),
        "test_prompts": own.get("test_prompts"),
        "created_at": _write_time(style.created_at),
    }


def _present_prices(entry: Entry) -> dict[str, Any]:
    price = entry.price
    return {
        "effective_from": _write_time(entry.effective_from),
        "input_nanousd": price.input_nanousd if price else None,
        "cached_input_nanousd": price.cached_input_nanousd if price else None,
        "output_nanousd": price.output_nanousd if price else None,
        "author_percent": price.author_percent if price else 0,
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
        "asked_prices": dict(zip(AMOUNTS, asked.amounts, strict=True)) if asked.amounts else None,
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


def _erasure_facts(erasure: Erasure, report: Report) -> dict[str, Any]:
    return {
        **vars(report),
        "id": erasure.version_id,
        "is_finished": report.finished_at is not None,
        "steps": report.lines,
        "stays": STAYS,
    }
