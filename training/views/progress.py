"""Step 4, the progress of a training: watch, pause, resume, cancel, delete its texts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from adapters.evidence import evidence_card_of
from adapters.models import Status as VersionStatus
from core.charts import LineChart, draw_lines
from core.lifecycle import Step
from core.money import usd
from core.pages import failures_shown
from metering.trainings import charge_of, price_at
from tenants.access import MemberRequest, access_of
from training import actions, erasure
from training.actions import Action
from training.models import Status, StopRequest, Training, TrainingEvent
from training.runs.runner import count_ahead, count_running_beside
from training.views.common import (
    own_training,
    page_of,
    page_steps,
    training_form,
    training_page,
)

QUEUED, TRAINING, CHECKING, READY = range(4)
LABELS = (_("Queued"), _("Training"), _("Checking the result"), _("Ready to go live"))
CURRENT = {
    Status.QUEUED: QUEUED,
    Status.RUNNING: TRAINING,
    Status.PAUSED: TRAINING,
    Status.FINISHING: CHECKING,
    Status.SUCCEEDED: READY + 1,
}
REACHED = (Status.QUEUED, Status.RUNNING, Status.FINISHING, Status.SUCCEEDED)
SHOWN_LOSSES = 12
MINUTE_S = 60
HOUR_S = 3600


@training_page
def show(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show how far a training is, and what comes next."""
    training = own_training(request, training_id)
    if training.is_open and not training.is_job:
        return redirect(page_of(training))
    context = _progress_context(training) | {"steps": page_steps(training, "progress")}
    return render(request, "training/progress.html", context)


@training_page
def show_live(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show the part that changes; the page polls it until the version is loaded."""
    training = own_training(request, training_id)
    part = "training/_evaluation.html" if training.is_evaluation else "training/_progress.html"
    answer = render(request, part, _progress_context(training))
    if training.is_open and not training.is_job:  # its price couldn't be held
        answer["HX-Redirect"] = page_of(training)
    return answer


@training_form
def act(request: MemberRequest, training_id: UUID, action: Action) -> HttpResponse:
    """Pause, resume or cancel a training; each address passes its action."""
    training = own_training(request, training_id)
    with failures_shown(request):
        action(access_of(request), training)
    return redirect(page_of(training))


@training_form
def delete_texts(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Delete the texts of a training that has ended, before they expire."""
    training = own_training(request, training_id)
    with failures_shown(request):
        actions.erase_documents(access_of(request), training)
        messages.success(request, gettext("The texts of this training were deleted."))
    return redirect(page_of(training))


def _progress_context(training: Training) -> dict[str, Any]:
    events = list(training.events.all())
    version = training.evaluated_version or training.version
    evidence = evidence_card_of(version) if training.status == Status.SUCCEEDED else None
    is_checking = evidence is not None and evidence.newest.is_open
    is_loading = bool(version and training.status == Status.SUCCEEDED and not version.is_final)
    return {
        "training": training,
        "progress": _list_steps(training, events),
        "chart": _draw_losses(events),
        "chart_sentence": _describe_losses(training, events),
        "losses": _losses(events)[-SHOWN_LOSSES:],
        "left": describe_left(training.left_s) if training.left_s is not None else "",
        "is_pausing": training.stop_request == StopRequest.PAUSE,
        "is_cancelling": training.stop_request == StopRequest.CANCEL,
        "can_pause": training.status in (Status.QUEUED, Status.RUNNING) and not training.stop_request,
        "can_cancel": training.status in (Status.QUEUED, Status.RUNNING, Status.PAUSED)
        and training.stop_request != StopRequest.CANCEL,
        "polls": training.is_started or is_loading or is_checking,
        "evidence": evidence,
        "is_own": True,
        "version": version,
        "is_serving": bool(version and version.status == VersionStatus.SERVING),
        "is_live": bool(version and version.style.live_version_id == version.pk),
        "is_loading": is_loading,
        "kept_until": _kept_until(training),
        **_costs(training),
    }


def describe_left(seconds: int) -> str:
    """Return the time left in words: minutes, and hours from one hour on."""
    if seconds < MINUTE_S:
        return gettext("less than a minute left")
    minutes = round(seconds / MINUTE_S)
    if seconds < HOUR_S:
        return ngettext("about {count} minute left", "about {count} minutes left", minutes).format(
            count=minutes
        )
    return gettext("about {hours} h {minutes} min left").format(hours=minutes // 60, minutes=minutes % 60)


def _list_steps(training: Training, events: Sequence[TrainingEvent]) -> list[Step]:
    """Return the four steps of a training that has started."""
    reached_at: dict[str, datetime] = {}
    for event in events:
        if event.status:
            reached_at.setdefault(event.status, event.at)
    current = CURRENT.get(Status(training.status))
    has_failed = current is None
    if current is None:  # it failed or was cancelled: its events say where
        current = TRAINING if Status.RUNNING in reached_at else QUEUED
        current = CHECKING if Status.FINISHING in reached_at else current
    steps = []
    for number, label in enumerate(LABELS):
        state = "done" if number < current else "next"
        if number == current:
            state = "failed" if has_failed else "current"
        at = reached_at.get(REACHED[number]) if state != "next" else None
        note = _step_note(training, number) if state == "current" else ""
        steps.append(Step(str(label), state, at, note))
    return steps


def _step_note(training: Training, number: int) -> str:
    if training.note:
        return str(training.note)
    if training.status == Status.PAUSED:
        return gettext("Paused. Nothing is lost: resume it to continue.")
    if number == QUEUED:
        return _describe_queue(training)
    if number == TRAINING:
        return _describe_run(training)
    return gettext("We check the new style like any upload and load it into the engine.")


def _describe_run(training: Training) -> str:
    if not training.steps:
        return gettext("Loading the model. This takes up to a minute.")
    if count_running_beside(training, timezone.now()):
        return gettext("Other trainings are running at the same time, so yours takes longer.")
    return gettext("The model reads your passages and adjusts to how you write.")


def _describe_queue(training: Training) -> str:
    ahead = count_ahead(training, timezone.now())
    if not ahead:
        return gettext("It starts as soon as a training worker is free.")
    return ngettext(
        "{count} training is ahead of yours.", "{count} trainings are ahead of yours.", ahead
    ).format(count=ahead)


def _draw_losses(events: Sequence[TrainingEvent]) -> LineChart | None:
    learned = [(event.step, event.training_loss) for event in events if event.training_loss is not None]
    held_out = [(event.step, event.validation_loss) for event in events if event.validation_loss is not None]
    return draw_lines({"learned": learned, "held_out": held_out})


def _describe_losses(training: Training, events: Sequence[TrainingEvent]) -> str:
    """Return what the line of held-out texts says, once the training has ended."""
    held_out = [event for event in events if event.validation_loss is not None]
    if not held_out or not training.is_ended:
        return ""
    best = min(held_out, key=lambda event: event.validation_loss or 0.0)
    if best.step == 0:
        return gettext("It never predicted the texts it hadn't seen better than before the training.")
    if best is held_out[-1] or training.status != Status.SUCCEEDED:
        return gettext("It improved until step {step}.").format(step=best.step)
    return gettext("It stopped improving at step {step}; we kept the best.").format(step=best.step)


def _losses(events: Sequence[TrainingEvent]) -> list[TrainingEvent]:
    return [one for one in events if one.training_loss is not None or one.validation_loss is not None]


def _costs(training: Training) -> dict[str, str]:
    """Return the reserved amount, and what of it was and wasn't charged."""
    if not training.started_at:
        return {}
    most = training.most_tokens * price_at(training.tenant, training.started_at)
    charged = charge_of(training.pk) or 0
    return {"most": usd(most), "charged": usd(charged) if charged else "", "released": usd(most - charged)}


def _kept_until(training: Training) -> datetime | None:
    if training.keeps_documents or training.documents_gone_at or training.ended_at is None:
        return None
    return training.ended_at + erasure.DOCUMENTS_KEPT
