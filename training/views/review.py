"""Step 2: what we understood of the texts, and the examples made from them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from adapters.errors import NotStored, StorageUnavailable
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of
from training import actions, preparation
from training.corpus import STANDARD_LIMITS
from training.models import Status, Training
from training.views.common import (
    name_language,
    own_training,
    page_of,
    page_steps,
    training_form,
    training_page,
)

PER_PAGE = 6
MANY_QUOTATIONS_PERCENT = 30
FOREIGN_PERCENT = 5  # of the words: a few foreign quotations are no second language


@training_page
def show(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show what was understood and the examples, or that they are being prepared."""
    training = own_training(request, training_id)
    if training.status == Status.DRAFT:
        return redirect(page_of(training, "texts"))
    context: dict[str, Any] = {
        "training": training,
        "steps": page_steps(training, "review"),
        "left_out": len(training.left_out_passages),
        "can_change": training.status == Status.READY,
    }
    if training.report:
        context |= _understood(training.report)
        context["passages"] = _passages(request, training)
    return render(request, "training/review.html", context)


@training_page
def show_preparing(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show that the examples are being made; the page polls this until they are ready."""
    training = own_training(request, training_id)
    answer = render(request, "training/_preparing.html", {"training": training})
    if training.status != Status.PREPARING:
        answer["HX-Redirect"] = page_of(training, "texts" if training.status == Status.DRAFT else "review")
    return answer


@training_form
def leave_out_passages(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Leave out the selected passages, or include all of them again."""
    training = own_training(request, training_id)
    selected = request.POST.getlist("passage")
    includes_all = request.POST.get("take_in") == "on"
    if not selected and not includes_all:
        messages.error(request, gettext("Select the passages to leave out first."))
        return redirect(page_of(training, "review"))
    left_out = [] if includes_all else [*training.left_out_passages, *selected]
    with failures_shown(request):
        actions.leave_out_passages(access_of(request), training, left_out)
    return redirect(page_of(training))


def _understood(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a corpus' report as the page shows it."""
    words = report["words"]
    usable = report["learned_words"] + report["held_out_words"] + report["gap_words"]
    languages = [(name_language(code), count) for code, count in report["languages"]]
    foreign = sum(count for _, count in languages[1:])
    quotations = round(100 * report["quotation_share"])
    return {
        "report": report,
        "duplicates": report["duplicates_dropped"],
        "languages": languages,
        "usable_words": usable,
        "small_words": STANDARD_LIMITS.small_words,
        "is_small": usable < STANDARD_LIMITS.small_words,
        "is_mixed": words and 100 * foreign / words > FOREIGN_PERCENT,
        "quotations": quotations,
        "has_many_quotations": quotations > MANY_QUOTATIONS_PERCENT,
    }


def _passages(request: MemberRequest, training: Training) -> Page[dict[str, Any]] | None:
    """Return a page of the passages with their prompts; None if they are deleted or unavailable."""
    try:
        passages: list[dict[str, Any]] = list(preparation.list_passages(training))
    except (NotStored, StorageUnavailable):
        return None
    names = {str(pk): name for pk, name in training.documents.values_list("pk", "name")}
    page = Paginator(passages, PER_PAGE).get_page(request.GET.get("page"))
    for passage in page:
        passage["document_name"] = names.get(passage["document"], "")
    return page
