"""Step 3: the most a training can cost, how long it takes, and its start."""

from http import HTTPStatus
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from core.errors import DomainError, FieldsRefused
from core.money import usd, usd_at_most
from metering.plans import limits_of
from metering.trainings import price_at
from tenants.access import MemberRequest, access_of
from training import actions, erasure, starting
from training.errors import RightsNotStated
from training.models import Status, Training
from training.runs.runner import count_ahead
from training.views.common import StartForm, own_training, page_of, page_steps, training_form, training_page

# The page that resolves what prevents a start, by the error's code.
REMEDIES = {
    "training_over_budget": "billing:usage",
    "training_over_credits": "billing:credits",
    "no_trainings_in_plan": "billing:plan",
    "too_many_words": "billing:plan",
    "too_many_trainings": "training:list",
    "trainings_used_up": "billing:plan",
}


@training_page
def show(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show cost, time, what happens to the texts, and the form that starts the training."""
    training = own_training(request, training_id)
    if training.status != Status.READY or training.is_evaluation:
        return redirect(page_of(training))
    return _show(request, training, StartForm(initial={"keeps_documents": training.keeps_documents}))


@training_form
def start(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Start a training. If that fails, show why and keep what was ticked."""
    training = own_training(request, training_id)
    if training.is_evaluation:
        return redirect(page_of(training))
    form = StartForm(request.POST)
    form.full_clean()
    try:
        actions.start_training(
            access_of(request),
            training,
            states_rights=form.cleaned_data["rights"],
            keeps_documents=form.cleaned_data["keeps_documents"],
        )
    except RightsNotStated as error:
        form.add_error("rights", error.message)
        return _show(request, training, form, status=HTTPStatus.BAD_REQUEST)
    except FieldsRefused as error:
        for sentences in error.errors.values():
            form.add_error(None, sentences)
        return _show(request, training, form, status=HTTPStatus.CONFLICT)
    except DomainError as error:
        form.add_error(None, error.message)
        remedy = REMEDIES.get(error.code, "")
        return _show(request, training, form, status=HTTPStatus.CONFLICT, remedy=remedy)
    return redirect(page_of(training, "progress"))


def _show(
    request: MemberRequest,
    training: Training,
    form: StartForm,
    *,
    status: int = HTTPStatus.OK,
    remedy: str = "",
) -> HttpResponse:
    now = timezone.now()
    most_nanousd = training.most_tokens * price_at(training.tenant, now)
    limits = None if training.tenant.is_first_party else limits_of(training.tenant, now)
    running, used = starting.count_started(training.tenant, now)
    context = {
        "training": training,
        "form": form,
        "steps": page_steps(training, "cost"),
        "most": usd_at_most(most_nanousd),
        "most_exactly": usd(most_nanousd),
        "is_free": not most_nanousd,
        "minutes": max(1, -(-training.estimated_s // 60)),
        "is_busy": count_ahead(training, now) > 0,
        "kept_days": erasure.DOCUMENTS_KEPT.days,
        "limits": limits,
        "running": running,
        "used": used,
        "obstacles": starting.list_obstacles(training, now),
        "remedy": remedy,
    }
    return render(request, "training/cost.html", context, status=status)
