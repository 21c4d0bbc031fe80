"""Evaluations: begun for a version with texts by its author, or once more with the texts of a training."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from adapters.models import AdapterVersion
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of
from training import actions, erasure
from training.models import Status
from training.views.common import own_training, page_of, page_steps, training_form, training_page


@training_form
def create(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Create a draft whose texts will check a version of the workspace's own, and ask for the texts."""
    versions = AdapterVersion.objects.select_related("style__owner")
    version = get_object_or_404(versions, pk=version_id, style__owner=request.tenant)
    with failures_shown(request):
        return redirect(page_of(actions.create_evaluation(access_of(request), version)))
    return redirect("adapters:style", owner=version.style.owner.slug, slug=version.style.slug)


@training_page
def show_start(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show what the check measures, and the button that starts it."""
    training = own_training(request, training_id)
    if training.status != Status.READY or not training.is_evaluation:
        return redirect(page_of(training))
    context = {
        "training": training,
        "version": training.evaluated_version,
        "steps": page_steps(training, "check"),
        "kept_days": erasure.DOCUMENTS_KEPT.days,
    }
    return render(request, "training/check.html", context)


@training_form
def evaluate(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Check a version with a training's texts: for the first time, or once more."""
    training = own_training(request, training_id)
    with failures_shown(request):
        actions.request_evaluation(access_of(request), training)
    return redirect(page_of(training))
