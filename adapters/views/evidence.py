"""The evidence of a style: its progress, a check of a draft, and the blind test."""

import secrets
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from adapters.evidence import (
    GuessingRound,
    check_draft,
    evidence_card_of,
    find_evaluation,
    find_guessable,
    list_rounds,
    reads_texts,
)
from adapters.evidence.drafts import LEAST_WORDS, MOST_CHARACTERS
from adapters.models import Style
from adapters.views.common import find_style, own_version
from core.errors import DomainError
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires

GUESSES = "guesses"  # in the session: of one evaluation at a time


class DraftForm(forms.Form):
    """A text to check."""

    text = forms.CharField(
        label=_("Your draft"),
        widget=forms.Textarea(attrs={"rows": 12, "class": "serif"}),
        error_messages={"required": _("Paste a text first.")},
        strip=False,
    )


@require_GET
@never_cache
@member_required
def show_live(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Show the card of an own version; the page polls it while an evaluation is in progress."""
    version = own_version(request, version_id)
    card = evidence_card_of(version)
    if card is None:
        raise Http404
    shown = card if reads_texts(access_of(request), version.style) else card.without_texts()
    context = {"evidence": shown, "version": version, "is_own": True, "polls_itself": True}
    return render(request, "adapters/_evidence.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@requires(Permission.WRITE_TEXT, to_read=Permission.WRITE_TEXT)
def draft(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show how far a pasted text is from an own style's author. The text is not stored."""
    style = find_style(request, owner, slug, is_own=True)
    form = DraftForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {
        "style": style,
        "form": form,
        "least_words": LEAST_WORDS,
        "most_characters": MOST_CHARACTERS,
        "can_check": find_evaluation(style) is not None,
    }
    if form.is_bound and form.is_valid():
        try:
            context["check"] = check_draft(style, form.cleaned_data["text"])
        except DomainError as error:
            form.add_error("text", error.message)
    return render(request, "adapters/draft.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@requires(Permission.CHANGE_STYLES, to_read=Permission.CHANGE_STYLES)
def guess(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Ask which of two texts is the author's. Answers are counted in the session alone."""
    style = find_style(request, owner, slug, is_own=True)
    evaluation = find_guessable(style)
    if evaluation is None:
        raise Http404
    kept = request.session.get(GUESSES, {})
    if kept.get("evaluation") != str(evaluation.pk) or "again" in request.POST:
        kept = {"evaluation": str(evaluation.pk), "salt": secrets.token_hex(8), "right": []}
    rounds = list_rounds(evaluation, kept["salt"])
    if request.method == "POST":
        kept["right"] += _judge(request, rounds[len(kept["right"]) :])
        request.session[GUESSES] = kept
        return redirect(f"{request.path}?after={len(kept['right'])}" if kept["right"] else request.path)
    request.session[GUESSES] = kept  # the sides must be the same when the answer comes
    return render(request, "adapters/guess.html", _guess_context(request, style, rounds, kept["right"]))


def _judge(request: MemberRequest, left: list[GuessingRound]) -> list[bool]:
    """Return whether the answer to the next round is right; nothing if it answers another round."""
    choice = request.POST.get("choice")
    if not left or request.POST.get("round") != str(left[0].number) or choice not in ("first", "second"):
        return []
    return [left[0].author_is_first == (choice == "first")]


def _guess_context(
    request: MemberRequest, style: Style, rounds: list[GuessingRound], right: list[bool]
) -> dict[str, Any]:
    answered = len(right)
    is_revealed = bool(answered) and request.GET.get("after") == str(answered)
    shown = rounds[answered - 1] if is_revealed else next(iter(rounds[answered:]), None)
    return {
        "style": style,
        "round": shown,
        "sides": _list_sides(shown) if shown else [],
        "rounds": len(rounds),
        "is_revealed": is_revealed,
        "was_right": is_revealed and right[-1],
        "answered": answered,
        "right": sum(right),
        "is_over": answered == len(rounds),
    }


def _list_sides(shown: GuessingRound) -> list[dict[str, object]]:
    labels = (("first", _("First text")), ("second", _("Second text")))
    sides: list[dict[str, object]] = []
    for (choice, label), text in zip(labels, shown.texts, strict=True):
        is_author = shown.author_is_first == (choice == "first")
        sides.append({"choice": choice, "label": label, "text": text, "is_author": is_author})
    return sides
