"""The queue of what waits for an operator's approval, with all that a decision needs on one page."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any
from uuid import UUID

from django.db.models.functions import Lower

from adapters.catalog import terms
from adapters.catalog.sharing import count_audiences
from adapters.evidence import EvidenceRow, card_of
from adapters.models import AdapterVersion, Evaluation, EvaluationStatus, Probe, Style
from adapters.models.styles import REVIEWED_WORDS
from adapters.quality import screening
from adapters.quality.samples import strength_word
from adapters.releases.review import Copied, find_copied, pending_review

MAX_TWINS = 3  # that are named
SHOWN = 20  # the oldest; the rest comes as these are answered


@dataclass(frozen=True)
class TextChange:
    """One text of a style: as it is now, and what others read instead (None: it is not public yet)."""

    label: str
    now: str
    before: str | None


@dataclass(frozen=True)
class Waiting:
    """One style that waits: what is new, what it writes, what a machine noticed, and the one after it."""

    style: Style
    is_offer: bool
    since: datetime | None
    asks_for: str
    words: list[TextChange]
    version: AdapterVersion | None
    is_version_new: bool
    effect: str
    evidence: list[EvidenceRow]
    samples: list[dict[str, str]]
    remarks: list[str]
    others: int
    following: Style | None


@dataclass(frozen=True)
class Known:
    """What the database says of all styles that are shown, by style; probes by version."""

    probes: Mapping[UUID, Probe]
    evidence: Mapping[UUID, list[EvidenceRow]]
    audiences: Counter[UUID]
    twins: Mapping[UUID, list[str]]
    copied: Mapping[UUID, list[Copied]]


def read_queue() -> dict[str, Any]:
    """Return the styles that wait, the oldest first, and how many there are."""
    waiting_styles = []
    total = 0
    for styles in (Style.objects.offered(), Style.objects.changed()):
        some = list(styles.select_related("owner", "live_version", "approved_version")[:SHOWN])
        waiting_styles += some
        total += len(some) if len(some) < SHOWN else styles.count()
    waiting_styles.sort(key=_waits_since)
    shown = waiting_styles[:SHOWN]
    live = [style.live_version for style in shown if style.live_version]
    known = Known(
        _read_probes(live),
        _read_evidence(live),
        count_audiences(shown),
        _find_twins(shown),
        find_copied(shown),
    )
    waiting = [_describe(style, known, after) for style, after in zip_longest(shown, shown[1:])]
    return {"waiting": waiting, "more": total - len(waiting)}


def _waits_since(style: Style) -> datetime:
    since = style.changed_at if style.is_public else style.offered_at
    return since or style.created_at


def _read_probes(live: list[AdapterVersion]) -> dict[UUID, Probe]:
    return {probe.version_id: probe for probe in Probe.objects.filter(version__in=live)}


def _read_evidence(live: list[AdapterVersion]) -> dict[UUID, list[EvidenceRow]]:
    """Return version → the figures of its newest evaluation; no text of its author."""
    done = Evaluation.objects.filter(version__in=live, status=EvaluationStatus.SUCCEEDED).defer("verifier")
    newest = done.select_related("version").order_by("version", "-created_at").distinct("version")
    return {evaluation.version_id: card_of(evaluation).rows for evaluation in newest}


def _describe(style: Style, known: Known, following: Style | None) -> Waiting:
    is_offer = not style.is_public
    review = pending_review(style)
    version = style.live_version
    probe = known.probes.get(version.pk) if version else None
    return Waiting(
        style=style,
        is_offer=is_offer,
        since=_waits_since(style),
        asks_for=terms.summarize_terms(terms.asked_terms(style)) if is_offer else "",
        words=list(chain.from_iterable(_compare_text(style, field, is_offer) for field in REVIEWED_WORDS)),
        version=version,
        is_version_new=is_offer or bool(review and review.live),
        effect=f"{strength_word(probe.strength)}, {probe.strength:.2f} nats per token" if probe else "",
        evidence=known.evidence.get(version.pk, []) if version else [],
        samples=probe.samples if probe else [],
        remarks=_collect_remarks(style, probe, known),
        others=known.audiences[style.pk],
        following=following,
    )


def _collect_remarks(style: Style, probe: Probe | None, known: Known) -> list[str]:
    """Return what a machine noticed about the texts, the live version and the name of a style."""
    texts = {}
    for field in (*REVIEWED_WORDS, "author", "licence"):
        texts[field.replace("_", " ")] = getattr(style, field)
    remarks = screening.screen_words(texts)
    if style.live_version:
        remarks += map(str, known.copied[style.pk])
        remarks += screening.screen_probe(probe)
    if twins := known.twins.get(style.pk):
        remarks.append(f"Other styles have the same name: {', '.join(twins)}.")
    return remarks


def _compare_text(style: Style, field: str, is_offer: bool) -> list[TextChange]:
    """Return a text with what others read now, if that is another one; of an offer every text."""
    now = getattr(style, field)
    label = field.replace("_", " ").capitalize()
    if is_offer:
        return [TextChange(label, now, None)] if now else []
    before = getattr(style, f"approved_{field}")
    return [TextChange(label, now, before)] if before != now else []


def _find_twins(styles: list[Style]) -> dict[UUID, list[str]]:
    """Return style → up to three public styles of other workspaces by the same name."""
    names = {style.name.lower() for style in styles}
    public = Style.objects.filter(is_public=True, retired_at=None).select_related("owner")
    twins = list(public.alias(lower_name=Lower("name")).filter(lower_name__in=names).order_by("created_at"))
    found = {}
    for style in styles:
        same = [twin.model_name for twin in twins if _are_twins(style, twin)]
        found[style.pk] = same[:MAX_TWINS]
    return found


def _are_twins(style: Style, other: Style) -> bool:
    return style.name.lower() == other.name.lower() and style.owner_id != other.owner_id
