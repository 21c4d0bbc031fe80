"""The queue of what waits for an operator's approval, with all that a decision needs on one page."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
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
from adapters.quality.samples import strength_word
from adapters.releases.review import Copied, find_copied, pending_review

MAX_TWINS = 3  # that are named
SHOWN = 20  # the oldest; the rest comes as these are answered


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
        {probe.version_id: probe for probe in Probe.objects.filter(version__in=live)},
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


def _read_evidence(live: list[AdapterVersion]) -> dict[UUID, list[EvidenceRow]]:
    """Return version → the figures of its newest evaluation; no text of its author."""
    done = Evaluation.objects.filter(version__in=live, status=EvaluationStatus.SUCCEEDED).defer("verifier")
    newest = done.select_related("version").order_by("version", "-created_at").distinct("version")
    return {evaluation.version_id: card_of(evaluation).rows for evaluation in newest}


def _describe(style: Style, known: Known, following: Style | None) -> dict[str, Any]:
    """Return a style that waits: what is new, what it writes, what a machine noticed, and what follows."""
    is_offer = not style.is_public
    review = pending_review(style)
    version = style.live_version
    probe = known.probes.get(version.pk) if version else None
    return {
        "style": style,
        "is_offer": is_offer,
        "since": _waits_since(style),
        "asks_for": terms.summarize_terms(terms.asked_terms(style)) if is_offer else "",
        "words": list(chain.from_iterable(_compare_text(style, field, is_offer) for field in REVIEWED_WORDS)),
        "version": version,
        "is_version_new": is_offer or bool(review and review.live),
        "effect": f"{strength_word(probe.strength)}, {probe.strength:.2f} nats per token" if probe else "",
        "evidence": known.evidence.get(version.pk, []) if version else [],
        "samples": probe.samples if probe else [],
        "remarks": _collect_remarks(style, probe, known),
        "others": known.audiences[style.pk],
        "following": following,
    }


def _collect_remarks(style: Style, probe: Probe | None, known: Known) -> list[str]:
    """Return what a machine noticed about the texts, the live version and the name of a style."""
    texts = {}
    for field in (*REVIEWED_WORDS, "author", "licence"):
        texts[field.replace("_", " ")] = getattr(style, field)
    remarks = screen_words(texts)
    if style.live_version:
        remarks += map(str, known.copied[style.pk])
        remarks += screen_probe(probe)
    if twins := known.twins.get(style.pk):
        remarks.append(f"Other styles have the same name: {', '.join(twins)}.")
    return remarks


def _compare_text(style: Style, field: str, is_offer: bool) -> list[dict[str, Any]]:
    """Return a text with what others read now, if that is another one; of an offer every text."""
    now = getattr(style, field)
    before = None if is_offer else getattr(style, f"approved_{field}")
    is_shown = bool(now) if is_offer else before != now
    label = field.replace("_", " ").capitalize()
    return [{"label": label, "now": now, "before": before}] if is_shown else []


def _find_twins(styles: list[Style]) -> dict[UUID, list[str]]:
    """Return style → up to three public styles of other workspaces by the same name."""
    names = {style.name.lower() for style in styles}
    public = Style.objects.filter(is_public=True, retired_at=None).select_related("owner")
    twins = list(public.alias(lower_name=Lower("name")).filter(lower_name__in=names).order_by("created_at"))
    found = {}
    for style in styles:
        others = (twin for twin in twins if twin.owner_id != style.owner_id)
        same = [other.model_name for other in others if other.name.lower() == style.name.lower()]
        found[style.pk] = same[:MAX_TWINS]
    return found


# Screening: what a machine notices about a style that waits for review. A person decides.
#
# Pure functions over the words and the probe's answers. It finds what is easy to overlook (an address in
# the twentieth answer, a letter that nobody sees), and judges no meaning.

LINK = re.compile(
    r"https?://|\bwww\.|(?<![\w@.-])[\w-]{2,}\.(?:com|net|org|io|ru|info|biz|shop|app)\b", re.IGNORECASE
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
PHONE = re.compile(r"(?<!\w)\+?\d[\d ()/.-]{7,}\d(?!\w)")
CONTACTS = {"a web address": LINK, "an email address": MAIL, "a phone number": PHONE}
EMOJI_JOINER = "\u200d"
RUN_WORDS = 4
MAX_RUNS = 4  # how often the same four words may come in one answer
MIN_WORDS = 3
EXCERPT_CHARACTERS = 60  # of what was found


def screen_words(words: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that stands out in what people read; `words` is field → text."""
    remarks = []
    for field, text in words.items():
        for found in _find_contacts(text):
            remarks.append(f"The {field} contains {found}.")
        hidden = _count_hidden(text)
        if hidden:
            remarks.append(f"The {field} contains {hidden} invisible characters.")
    return remarks


def screen_probe(probe: Probe | None) -> list[str]:
    """Return a sentence for each thing that stands out in the probe's answers."""
    if probe is None:
        return ["Not measured yet, so there are no sample answers."]
    remarks = []
    if probe.strength <= probe.noise:
        remarks.append("No effect: the answers are identical to the base model's.")
    for number, sample in enumerate(probe.samples, start=1):
        answer = str(sample.get("style", ""))
        # What the base model writes, too, is not the style's doing.
        usual = set(_find_contacts(str(sample.get("base", ""))))
        for found in _find_contacts(answer):
            if found not in usual:
                remarks.append(f"Answer {number} contains {found}.")
        if len(answer.split()) < MIN_WORDS:
            remarks.append(f"Answer {number} is almost empty.")
        elif _repeats(answer):
            remarks.append(f"Answer {number} repeats itself.")
    return remarks


def _find_contacts(text: str) -> Iterable[str]:
    for name, pattern in CONTACTS.items():
        found = pattern.search(text)
        if found:
            around = text[max(0, found.start() - 5) : found.end() + 20][:EXCERPT_CHARACTERS]
            yield f"{name} (“{around.strip()}”)"


def _count_hidden(text: str) -> int:
    kinds = Counter(map(unicodedata.category, text.replace(EMOJI_JOINER, "")))
    return kinds["Cf"] + kinds["Co"] + kinds["Cn"]


def _repeats(answer: str) -> bool:
    words = answer.lower().split()
    runs = Counter(tuple(words[begin : begin + RUN_WORDS]) for begin in range(len(words) - RUN_WORDS + 1))
    return max(runs.values(), default=0) > MAX_RUNS
