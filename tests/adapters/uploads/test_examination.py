"""Examinations of uploads: one at a time of a workspace, and workspaces take turns."""

import pytest

from adapters import tasks
from adapters.enqueue import MAX_QUEUED_UPLOADS
from adapters.models import AdapterVersion, Status, UploadNote
from adapters.uploads import pipeline
from config.celery import app
from tests.adapters.builders import known, locked_elsewhere, uploaded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]


def count_queued() -> int:
    with app.connection_for_read() as broker:
        return broker.default_channel.queue_declare("uploads").message_count


def purge_queue() -> None:
    with app.connection_for_read() as broker:
        broker.default_channel.queue_declare("uploads")
        broker.default_channel.queue_purge("uploads")


@pytest.fixture
def queue():
    """Empty the queue `uploads`, before and after a test."""
    purge_queue()
    yield
    purge_queue()


def unexamined() -> list[str]:
    uploads = AdapterVersion.objects.filter(status=Status.UPLOADED).order_by("created_at")
    return [f"{version.style.owner.slug} {version.style.slug}" for version in uploads]


def test_a_workspace_with_many_uploads_waits_behind_one_with_a_single_one(acme, charlies, queue):
    versions = [uploaded(acme, slug) for slug in ("one", "two", "three")]
    uploaded(charlies, "only")
    for _ in range(2):  # whichever upload a worker is woken for
        tasks.advance(str(versions[-1].pk))
    assert unexamined() == ["acme two", "acme three"]


def test_of_one_workspace_one_upload_is_checked_at_a_time(acme, charlies, queue):
    mine, others = uploaded(acme, "noir"), uploaded(charlies, "verse")
    with locked_elsewhere(f"examination {acme.pk}"):
        pipeline.advance_version(mine)
        pipeline.advance_version(others)
    mine.refresh_from_db()
    assert (mine.status, mine.note, mine.examinations) == (
        Status.UPLOADED,
        UploadNote.ANOTHER_FIRST(),
        0,
    )
    assert others.status != Status.UPLOADED
    pipeline.advance_version(mine)
    assert mine.status != Status.UPLOADED


def test_many_uploads_leave_the_queue_short(acme, engine, queue):
    for _ in range(MAX_QUEUED_UPLOADS + 3):
        known(acme, "noir", engine, status=Status.UPLOADED)
    tasks.advance_all()
    assert 0 < count_queued() <= MAX_QUEUED_UPLOADS
