"""Start of a training: its limits, the hold of its price, and the style that gets the version."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from adapters.errors import StyleRefused
from adapters.models import Style
from adapters.public import find_or_create_style, style_faults
from core import months
from core.errors import DomainError
from core.messages import Message
from metering.plans import limits_of
from metering.quota_sync import training_holds
from tenants.models import Tenant, User
from training.errors import (
    NothingToTrain,
    NoTrainingsInPlan,
    TooManyDrafts,
    TooManyTrainings,
    TooManyWords,
    TrainingMoved,
    TrainingOff,
    TrainingsUsedUp,
)
from training.models import ENDED, OPEN, STARTED, Status, Training
from training.notes import TrainingNote

MAX_DRAFTS = 20
# The answer is the text on the style's card. A style answers best in the language that it has learned.
SAMPLE_PROMPTS = {"de": "Beschreibe einen Morgen in der Stadt."}
SAMPLE_PROMPT = "Describe a morning in the city."
HOLD_WITHIN = timedelta(minutes=1)  # until then, no worker takes a training whose price is being held


def create_training(tenant: Tenant, user: User | None, *, slug: str, name: str, epochs: int) -> Training:
    """Return a new training without documents. Raises TrainingOff, StyleRefused, TooManyDrafts."""
    if not settings.TRAINING:
        raise TrainingOff
    require_name(tenant, slug, name)
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        if Training.objects.filter(tenant=tenant, status__in=OPEN).count() >= MAX_DRAFTS:
            raise TooManyDrafts(most=MAX_DRAFTS)
        return Training.objects.create(tenant=tenant, created_by=user, slug=slug, name=name, epochs=epochs)


def start_job(training: Training, **facts: object) -> None:
    """Queue a training, note some facts on it, and hold the most that it can cost.

    Its rights were stated when it was made, or are among the facts. A second call does nothing. Call it
    outside of transactions. Raises TrainingOff, NothingToTrain, TrainingMoved, the limits of the plan,
    StyleRefused, and what `hold_training` does; the training is ready to start then, as before.
    """
    if not settings.TRAINING:
        raise TrainingOff
    if training.is_evaluation:
        raise NothingToTrain
    if _queue(training, facts):
        hold_price(training)
        queued = Training.objects.filter(pk=training.pk, status=Status.QUEUED, ran_at=None)
        queued.update(leased_until=None, note=Message())


def hold_price(training: Training) -> None:
    """Hold the most that a queued training can cost. Safe to repeat; a worker repeats it before the run.

    Raises the errors of `hold_training`, after which the training can be started again.
    """
    try:
        training_holds.hold_training(
            training.tenant, training.pk, training.most_tokens, now=training.started_at or timezone.now()
        )
    except DomainError as error:
        training.move(
            before=Status.QUEUED,
            after=Status.READY,
            note=Message.of(error),
            started_at=None,
            leased_until=None,
        )
        raise
    # It may have been cancelled before there was a hold to settle.
    if Training.objects.filter(pk=training.pk, status__in=ENDED).exists():
        training_holds.settle_training(training.pk, 0, now=timezone.now())


def require_name(tenant: Tenant, slug: str, name: str) -> None:
    """Raise StyleRefused if no style could have these names: it would be too late to say so at the start."""
    own = Style.objects.filter(owner=tenant, slug=slug).first()
    if own and own.retired_at is None:
        return  # it gets another version
    faults = style_faults(tenant, own, slug, {"name": name})
    if faults:
        raise StyleRefused(faults)


def _queue(training: Training, facts: Mapping[str, object]) -> bool:
    """Move a training to the queue if the plan has room for it; return False if it is there already."""
    now = timezone.now()
    tenant = training.tenant
    with transaction.atomic():
        # So that two starts at the same moment see each other.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        training.refresh_from_db()
        if training.is_started or training.status == Status.SUCCEEDED:
            return False
        if training.status != Status.READY:
            raise TrainingMoved
        obstacles = list_obstacles(training, now)
        if obstacles:
            raise obstacles[0]
        languages = training.report.get("languages") or [("", 0)]
        style = find_or_create_style(
            tenant,
            training.slug,
            name=training.name,
            sample_prompt=SAMPLE_PROMPTS.get(languages[0][0], SAMPLE_PROMPT),
        )
        return training.move(
            before=Status.READY,
            after=Status.QUEUED,
            style=style,
            started_at=now,
            note=TrainingNote.PAYMENT(),
            leased_until=now + HOLD_WITHIN,
            **facts,
        )


def count_started(tenant: Tenant, now: datetime) -> tuple[int, int]:
    """Return how many trainings of a workspace are in progress, and how many it started this month."""
    own = Training.objects.filter(tenant=tenant)
    first, _ = months.bounds(months.period_of(now))
    return own.filter(status__in=STARTED).count(), own.filter(started_at__gte=first).count()


def require_startable(tenant: Tenant, now: datetime) -> None:
    """Refuse a job that could not start, whatever its files have and whoever is waited for.

    Raises NoTrainingsInPlan, TrainingsUsedUp, NothingLeft.
    """
    if not tenant.is_first_party:
        limits = limits_of(tenant, now)
        _, used = count_started(tenant, now)
        if not limits.parallel_trainings or not limits.monthly_trainings:
            raise NoTrainingsInPlan
        if used >= limits.monthly_trainings:
            raise TrainingsUsedUp(most=limits.monthly_trainings, used=used)
    training_holds.require_anything_left(tenant, now)


def list_obstacles(training: Training, now: datetime) -> list[DomainError]:
    """Return which limits of its workspace's plan a training exceeds; a first party has none."""
    if training.tenant.is_first_party:
        return []
    limits = limits_of(training.tenant, now)
    if not limits.parallel_trainings or not limits.monthly_trainings:
        return [NoTrainingsInPlan()]
    running, used = count_started(training.tenant, now)
    words = training.report.get("words", 0)
    obstacles: list[DomainError] = []
    if words > limits.training_words:
        obstacles.append(TooManyWords(words=words, most=limits.training_words))
    if running >= limits.parallel_trainings:
        obstacles.append(TooManyTrainings(most=limits.parallel_trainings, running=running))
    if used >= limits.monthly_trainings:
        obstacles.append(TrainingsUsedUp(most=limits.monthly_trainings, used=used))
    return obstacles
