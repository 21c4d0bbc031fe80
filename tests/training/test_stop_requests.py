"""Pause, resume and cancel in any order: what was cancelled stays so, and the log has what was done."""

from itertools import product

import pytest

from tenants.models import AuditEntry
from training import actions
from training.errors import TrainingMoved
from training.models import Status, StopRequest, Training

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
VERBS = {
    "pause": actions.pause_training,
    "resume": actions.resume_training,
    "cancel": actions.cancel_training,
    "step": None,  # the worker reaches its next step
}


@pytest.fixture
def running(access) -> Training:
    """A training whose worker takes a step now and then."""
    training = Training.objects.create(
        tenant=access.tenant, slug="voice", name="Voice", created_by=access.user
    )
    Training.objects.filter(pk=training.pk).update(status=Status.RUNNING)
    training.refresh_from_db()
    return training


def take_step(training: Training) -> None:
    """Do what the worker does between steps."""
    ends = {StopRequest.PAUSE: Status.PAUSED, StopRequest.CANCEL: Status.CANCELLED}
    asked = Training.objects.get(pk=training.pk)
    if asked.status == Status.RUNNING and asked.stop_request in ends:
        asked.move(before=Status.RUNNING, after=ends[asked.stop_request], stop_request=StopRequest.NONE)


def play(access, training: Training, verbs: tuple[str, ...]) -> list[str]:
    """Return the verbs that were not refused."""
    done = []
    for verb in verbs:
        training.refresh_from_db()
        try:
            take_step(training) if verb == "step" else VERBS[verb](access, training)
        except TrainingMoved:
            continue
        done.append(verb)
    training.refresh_from_db()
    return done


@pytest.mark.parametrize("verbs", list(product(VERBS, repeat=3)), ids=" ".join)
def test_what_was_cancelled_stays_cancelled_and_is_logged_once(access, running, verbs):
    done = play(access, running, (*verbs, "step"))
    if "cancel" in done:
        assert running.status == Status.CANCELLED
    logged = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert logged.count("training.cancelled") == min(1, done.count("cancel"))
    assert logged.count("training.resumed") == done.count("resume")
    assert logged.count("training.paused") <= 1 + done.count("resume")
