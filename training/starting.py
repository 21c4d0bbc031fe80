"""Start of a training: its limits, the hold of its price, and the style that gets the version."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from adapters.public import find_or_create_style
from core import months
from tenants.metering.plans import limits_of
from tenants.metering.trainings import hold_training
from tenants.models import Tenant, User
from training.errors import (
    RightsNotStated,
    TooManyDrafts,
    TooManyTrainings,
    TooManyWords,
    TrainingMoved,
    TrainingOff,
    TrainingsUsedUp,
)
from training.models import Status, Training
from training.models.trainings import OPEN, STARTED

MAX_DRAFTS = 20


def create_training(tenant: Tenant, user: User | None, *, slug: str, name: str) -> Training:
    """Return a new training without documents. Raises TrainingOff, TooManyDrafts."""
    if not settings.TRAINING:
        raise TrainingOff
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        if Training.objects.filter(tenant=tenant, status__in=OPEN).count() >= MAX_DRAFTS:
            raise TooManyDrafts(most=MAX_DRAFTS)
        return Training.objects.create(tenant=tenant, created_by=user, slug=slug, name=name)


def start_training(training: Training, user: User | None, *, states_rights: bool, keeps_documents: bool) -> None:
    """Hold the price of a training and queue it. A second call does nothing.

    Raises RightsNotStated, TrainingMoved, the limits of the plan, StyleRefused, and what `hold_training` does.
    """
    if not settings.TRAINING:
        raise TrainingOff
    if not states_rights:
        raise RightsNotStated
    now = timezone.now()
    tenant = training.tenant
    with transaction.atomic():
        # Two starts at the same moment are counted one after the other.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        training.refresh_from_db()
        if training.is_started or training.status == Status.SUCCEEDED:
            return
        if training.status != Status.READY:
            raise TrainingMoved
        if not tenant.is_first_party:
            _require_limits(training, now)
        style = find_or_create_style(tenant, training.slug, name=training.name)
        hold_training(tenant, training.pk, training.most_tokens, now=now)
        training.move(
            before=Status.READY,
            after=Status.QUEUED,
            style=style,
            rights_stated_at=now,
            keeps_documents=keeps_documents,
            started_at=now,
        )


def count_started(tenant: Tenant, now: datetime) -> tuple[int, int]:
    """Return how many trainings of a workspace are in progress, and how many it started this month."""
    own = Training.objects.filter(tenant=tenant)
    first, _ = months.bounds(months.period_of(now))
    return own.filter(status__in=STARTED).count(), own.filter(started_at__gte=first).count()


def _require_limits(training: Training, now: datetime) -> None:
    limits = limits_of(training.tenant, now)
    running, used = count_started(training.tenant, now)
    words = training.report.get("words", 0)
    if words > limits.training_words:
        raise TooManyWords(words=words, most=limits.training_words)
    if running >= limits.parallel_trainings:
        raise TooManyTrainings(most=limits.parallel_trainings, running=running)
    if used >= limits.monthly_trainings:
        raise TrainingsUsedUp(most=limits.monthly_trainings, used=used)
