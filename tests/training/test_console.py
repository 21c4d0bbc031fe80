"""The console's pages of trainings: facts and no text, a stop with a reason, and what is stuck."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from metering.models import TrainingHold
from operations.console.menu import jobs_context
from operations.monitoring import exporter
from tenants.models import AuditEntry, User
from tests.training.builders import make_text
from training import summary
from training.models import Status, StopRequest, Training

pytestmark = pytest.mark.django_db
LIST = reverse("admin:training_training_changelist")


@pytest.fixture
def waiting(acme, alice) -> Training:
    """A training that waits for a worker, without a text."""
    return Training.objects.create(
        tenant=acme, created_by=alice, slug="my-voice", name="My voice", status=Status.QUEUED
    )


def page_of(training: Training) -> str:
    return reverse("admin:training_training_change", args=[training.pk])


def stop(client: Client, training: Training, why: str) -> str:
    sent = {"action": "stop", "_selected_action": [training.pk], "confirmed": "1", "why": why}
    return client.post(LIST, sent, follow=True).text


def make_old(training: Training, **changes: object) -> None:
    old = timezone.now() - 2 * summary.SILENT_AFTER
    Training.objects.filter(pk=training.pk).update(changed_at=old, **changes)


def stuck_addresses() -> dict[str, str]:
    """Return what the Jobs page says is stuck: kind → where its rows are listed."""
    return {kind.name: kind.address for kind in jobs_context()["stuck"]}


def metrics() -> dict[tuple[str, ...], float]:
    found = {}
    for family in exporter.collect_trainings():
        for sample in family.samples:
            found[(sample.name, *sample.labels.values())] = sample.value
    return found


def test_operators_see_the_facts_of_a_training_and_of_its_documents_and_no_text(operator_client, draft):
    document = draft.documents.first()
    assert document.first_words
    listed = operator_client.get(LIST, {"q": draft.tenant.slug}).text
    shown = operator_client.get(page_of(draft)).text
    assert draft.name in listed
    assert "4,000 words" in shown
    assert document.name in shown
    for text in (document.first_words, *make_text(4000, 1).split("\n\n")[:5]):
        assert text[:40] not in shown + listed


def test_a_training_is_stopped_with_a_reason_that_its_members_read(operator_client, operator, queued):
    assert "required" in stop(operator_client, queued, " ")
    queued.refresh_from_db()
    assert queued.status == Status.QUEUED
    stop(operator_client, queued, "The texts are somebody else's.")
    queued.refresh_from_db()
    assert queued.status == Status.CANCELLED
    assert "The texts are somebody else's." in str(queued.failure)
    assert not TrainingHold.objects.open().exists()
    entry = AuditEntry.objects.get(action="stop")
    assert (entry.actor, entry.object_id) == (operator, str(queued.pk))
    Training.objects.update(status=Status.SUCCEEDED)
    assert "has changed" in stop(operator_client, queued, "Again")


def test_one_that_runs_is_asked_to_stop(operator_client, waiting):
    waiting.move(before=Status.QUEUED, after=Status.RUNNING)
    stop(operator_client, waiting, "We need the machine.")
    waiting.refresh_from_db()
    assert (waiting.status, waiting.stop_request) == (Status.RUNNING, StopRequest.CANCEL)


def test_who_may_only_look_stops_nothing(waiting):
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    clerk.groups.set(Group.objects.filter(name="Finance"))
    client = Client()
    client.force_login(clerk, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(page_of(waiting)).status_code == 200
    stop(client, waiting, "I want to.")
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED


def test_a_silent_training_and_one_without_a_worker_are_on_the_jobs_page_and_in_the_metrics(
    operator_client, waiting, valkey
):
    assert not summary.find_unserved(timezone.now()).exists()
    make_old(waiting)
    assert metrics()["polyscribe_training_oldest_queued_seconds",] > summary.SILENT_AFTER.total_seconds()
    assert waiting.name in operator_client.get(stuck_addresses()["Queued trainings"]).text
    make_old(waiting, status=Status.RUNNING)
    assert metrics()["polyscribe_trainings", "running"] == 1
    assert metrics()["polyscribe_training_silent_seconds",] > summary.SILENT_AFTER.total_seconds()
    address = stuck_addresses()["Silent trainings"]
    assert waiting.name in operator_client.get(address).text
    Training.objects.update(changed_at=timezone.now())
    assert waiting.name not in operator_client.get(address).text
    assert not {"Queued trainings", "Silent trainings"} & stuck_addresses().keys()


def test_a_busy_worker_and_a_full_plan_are_no_fault(waiting):
    make_old(waiting)
    Training.objects.update(leased_until=timezone.now() + timedelta(minutes=1))
    assert not summary.find_unserved(timezone.now()).exists()
    make_old(waiting, status=Status.FINISHING)
    assert not summary.find_silent(timezone.now()).exists()


def test_where_nothing_is_trained_the_menu_does_not_name_it(operator_client, settings, valkey):
    assert "Trainings" in operator_client.get(reverse("admin:index")).text
    settings.TRAINING = False
    items = operator_client.get(reverse("admin:index")).context["sidebar_navigation"]
    shown = [item["title"] for group in items for item in group["items"] if item["has_permission"]]
    assert "Trainings" not in shown
