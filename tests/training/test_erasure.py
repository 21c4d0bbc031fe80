"""Texts go with the style that was trained from them, with the workspace, and when their row is gone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import object_store
from adapters.erasure import report, workflow
from adapters.models import AdapterVersion, Erasure
from adapters.uploads import pipeline as upload_pipeline
from adapters.uploads import pruner
from operations import tasks as operations_tasks
from tenants.models import Tenant
from tests.training.builders import list_stored
from training import erasure, pipeline, storage
from training.models import Document, Status, Training
from training.runs import runner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_bucket() -> None:
    """Other tests leave files without rows behind."""
    object_store.erase_folder(storage.PREFIX)


@pytest.fixture
def trained(queued, trainer) -> Training:
    """A training that became a version."""
    assert runner.run_next()
    pipeline.advance_training(queued)
    queued.refresh_from_db()
    upload_pipeline.advance_version(queued.version)
    pipeline.advance_training(queued)
    queued.refresh_from_db()
    assert queued.status == Status.SUCCEEDED
    return queued


def lines_of(version: AdapterVersion) -> dict[str, str]:
    """Return the steps of an erasure's report: label → state."""
    shown = report.erasure_report(
        Erasure.objects.select_related("version__style__owner").get(version=version)
    )
    return {line.label: line.state for line in shown.lines}


def test_an_erased_version_takes_its_texts_with_it_and_its_report_says_so(trained):
    step = "Documents, examples and checkpoints deleted"
    version = trained.version
    workflow.erase_version(version, None)
    Erasure.objects.update(
        withdrawn_at=timezone.now(), drained_at=timezone.now(), storage_gone_at=timezone.now()
    )
    workflow.advance_erasure(Erasure.objects.get())
    assert lines_of(version)[step] == "current"
    assert Erasure.objects.get().finished_at is None
    erasure.prune_trainings(timezone.now())
    assert not list_stored(trained.pk)
    assert not Document.objects.exists()
    workflow.advance_erasure(Erasure.objects.get())
    assert Erasure.objects.get().finished_at
    assert lines_of(version)[step] == "done"
    found = report.erasure_report(Erasure.objects.get())
    assert f"trainings/{trained.pk}/" in found.text()


def test_an_erasure_ends_whose_training_has_no_row_any_more(trained):
    workflow.erase_version(trained.version, None)
    trained.delete()
    erasure.prune_trainings(timezone.now())
    version = AdapterVersion.objects.get()
    assert not version.has_texts
    assert not list_stored(UUID(version.provenance["training"]))


def test_a_deleted_workspace_is_erased_once_its_texts_are_and_the_report_names_them(
    alice_client, draft, trained_of_another
):
    Tenant.objects.filter(pk=draft.tenant_id).update(deleted_at=timezone.now())
    operations_tasks.erase_workspaces()
    assert Tenant.objects.get(pk=draft.tenant_id).erased_at is None
    erasure.prune_trainings(timezone.now())
    operations_tasks.erase_workspaces()
    assert Tenant.objects.get(pk=draft.tenant_id).erased_at
    address = reverse("website:workspace_erasure", args=[draft.tenant_id])
    assert "1 of 1 training erased" in alice_client.get(address).text
    [told] = alice_client.get(address, {"form": "json"}).json()["trainings"]
    assert told["prefix"] == f"trainings/{draft.pk}/"
    assert told["erased"] == ["documents", "examples", "checkpoints"]
    assert told["erased_at"]
    assert not list_stored(draft.pk)
    assert list_stored(trained_of_another)


@pytest.fixture
def trained_of_another(charlies, valkey):
    """A training of another workspace, with a file."""
    training = Training.objects.create(tenant=charlies, slug="theirs", name="Theirs")
    storage.write_file(training.pk, "learn.jsonl", b"{}")
    yield training.pk
    storage.erase_files(training.pk)


def test_files_without_a_row_go_after_a_week_and_those_posted_after_an_erasure_at_once(draft):
    orphan = uuid4()
    storage.write_file(orphan, "learn.jsonl", b"{}")
    now = timezone.now()
    erasure.prune_trainings(now)
    assert list_stored(orphan)
    Training.objects.filter(pk=draft.pk).update(changed_at=now + timedelta(days=8))
    erasure.prune_trainings(now + timedelta(days=8))
    assert not list_stored(orphan)
    assert list_stored(draft.pk)
    Training.objects.filter(pk=draft.pk).update(status=Status.CANCELLED, ended_at=now, documents_gone_at=now)
    erasure.prune_trainings(now)
    assert not list_stored(draft.pk)


def test_nothing_is_deleted_where_the_bucket_belongs_to_another_database(valkey):
    orphans = [uuid4(), uuid4()]
    for training_id in orphans:
        storage.write_file(training_id, "learn.jsonl", b"{}")
    erasure.prune_trainings(datetime(2100, 1, 1, tzinfo=UTC))
    for training_id in orphans:
        assert list_stored(training_id)
        storage.erase_files(training_id)


def test_the_pruner_of_styles_leaves_trainings_alone(draft):
    before = list_stored(draft.pk)
    pruner.prune_storage()
    assert list_stored(draft.pk) == before
