"""Files in the storage: counted against the plan, kept while a job needs them, gone when they expire."""

from datetime import timedelta

import pytest
from django.utils import timezone

from adapters import object_store
from core.money import NANO
from metering.credits import grant_credit
from tenants.models import Tenant
from training import actions, file_jobs, files, storage
from training.errors import FileInUse
from training.models import File

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(acme: Tenant) -> File:
    return stored(acme, b"a" * 1000)


def stored(tenant: Tenant, content: bytes) -> File:
    file = files.begin_file(tenant, name="chats.jsonl", size_bytes=2000)
    files.finish_file(file, size_bytes=files.write_content(file, [content]))
    return file


def is_stored(file: File) -> bool:
    return object_store.stored_bytes(files.key_of(file.pk)) is not None


def test_what_is_stored_counts_until_it_is_deleted(access, acme, file):
    assert storage.count_stored_bytes(acme) == 1000
    files.delete_file(access, file)
    assert storage.count_stored_bytes(acme) == 0
    assert not is_stored(file)
    assert not File.objects.exists()


def test_a_file_stays_until_its_job_has_read_it_and_its_row_as_the_job(access, file, base_model, valkey):
    grant_credit(access.tenant, NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    request = actions.JobRequest(slug="my-voice", name="My voice", training_file=file)
    job = actions.create_job(access, request)
    with pytest.raises(FileInUse):
        files.delete_file(access, file)
    file_jobs.advance_job(job)
    files.delete_file(access, file)
    assert not is_stored(file)
    job.refresh_from_db()
    assert job.training_file == file
    job.delete()
    files.prune_files(timezone.now())
    assert not File.objects.exists()


def test_expired_and_unfinished_files_and_those_of_deleted_workspaces_are_pruned(acme, charlies, file):
    now = timezone.now()
    expired, unfinished, left = (stored(tenant, b"b") for tenant in (acme, acme, charlies))
    File.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(seconds=1))
    File.objects.filter(pk=unfinished.pk).update(arrived_at=None, created_at=now - timedelta(hours=3))
    Tenant.objects.filter(pk=charlies.pk).update(deleted_at=now)
    files.prune_files(now)
    assert [one.pk for one in File.objects.all()] == [file.pk]
    assert [is_stored(one) for one in (file, expired, unfinished, left)] == [True, False, False, False]
