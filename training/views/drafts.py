"""The list of trainings, and drafts: created, opened, deleted."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from adapters.models import Style
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of
from training import actions
from training.models import Training
from training.views.common import (
    NewTrainingForm,
    own_training,
    page_of,
    training_form,
    training_page,
    training_page_with_form,
)

MAX_SHOWN = 100
ONE_PASS = "1"


@training_page
def list_trainings(request: MemberRequest) -> HttpResponse:
    """Show the workspace's trainings: in progress, not started, ended."""
    trainings = Training.objects.filter(tenant=request.tenant).select_related(
        "style__owner", "evaluated_version", "evaluation"
    )
    newest = list(trainings.order_by("-created_at")[:MAX_SHOWN])
    context = {
        "started": [training for training in newest if training.is_started or training.is_checking],
        "drafts": [training for training in newest if training.is_open],
        "ended": [training for training in newest if training.is_ended and not training.is_checking],
    }
    return render(request, "training/list.html", context)


@training_page_with_form
def new(request: MemberRequest) -> HttpResponseBase:
    """Offer the two ways to make a style, and create a training with the given name."""
    if request.method != "POST":
        own = _style_to_train(request)
        initial: dict[str, object] = {"name": own.name, "slug": own.slug} if own else {}
        if request.GET.get("epochs") == ONE_PASS:
            initial["epochs"] = ONE_PASS
        form = NewTrainingForm(initial=initial)
        return _show_new(request, form)
    form = NewTrainingForm(request.POST)
    if form.is_valid():
        with failures_shown(request, form):
            training = actions.create_training(access_of(request), **form.cleaned_data)
            return redirect(page_of(training))
    return _show_new(request, form, status=400)


@training_page
def show(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Redirect to the current step of a training."""
    return redirect(page_of(own_training(request, training_id)))


@training_form
def delete(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Delete a training that is not in progress, with its texts."""
    training = own_training(request, training_id)
    with failures_shown(request):
        actions.delete_training(access_of(request), training)
        messages.success(request, gettext("{name} was deleted, with its texts.").format(name=training.name))
        return redirect("training:list")
    return redirect(page_of(training))


def _show_new(request: MemberRequest, form: NewTrainingForm, *, status: int = 200) -> HttpResponse:
    is_one_pass = form["epochs"].value() == ONE_PASS
    return render(request, "training/new.html", {"form": form, "is_one_pass": is_one_pass}, status=status)


def _style_to_train(request: MemberRequest) -> Style | None:
    """Return the workspace's style that the address names for another version, if it does."""
    slug = request.GET.get("style", "").replace("\0", "")[:40]
    return Style.objects.filter(owner=request.tenant, slug=slug, retired_at=None).first()
