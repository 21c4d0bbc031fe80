"""What a workspace may store: bytes, versions, open uploads, uploads per hour."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import object_store
from adapters.errors import UploadRefused, VersionMoved
from adapters.models import AdapterVersion, Status, Style
from adapters.uploads import pipeline, sessions, storage_quota
from adapters.uploads.upload_request import StyleDescription
from tests.adapters.builders import adapter_files, begin, uploaded, zipped
from tests.adapters.uploads.conftest import keys, limited

MIB = 1024 * 1024
GIB = 1024 * MIB
FREE = {"adapter_config.json": 700, "adapter_model.safetensors": 100}

pytestmark = pytest.mark.usefixtures("empty_bucket")


def fault(tenant, slug: str = "noir", **files: int) -> str:
    with pytest.raises(UploadRefused) as refused:
        sessions.begin_upload(tenant, None, StyleDescription(slug=slug, name="Noir"), FREE | files)
    return " ".join(sentence for sentences in refused.value.errors.values() for sentence in sentences)


def test_bytes_of_open_uploads_count_against_the_plan(acme, base_model):
    """An audit once got sixty forms of a gigabyte in 3.6 s on the free plan."""
    begun = 0
    for _ in range(60):
        try:
            sessions.begin_upload(acme, None, StyleDescription(slug="noir", name="Noir"), {"noir.zip": GIB})
            begun += 1
        except UploadRefused as error:
            fault_text = " ".join(error.errors["files"])
    assert begun == 2
    assert (
        "Your plan includes 2.0 GB of storage: 2.0 GB is in use, and these files need 1.0 GB. Delete versions"
        in fault_text
    )


def test_open_uploads_are_limited_and_cancelling_one_makes_room(acme, alice_client, base_model):
    first, _ = begin(acme, "noir", adapter_files())
    for _ in range(2):
        begin(acme, "noir", adapter_files())
    assert "3 uploads are open, the maximum on your plan. Complete one" in fault(acme)
    alice_client.post(reverse("adapters:cancel", args=[first.pk]))
    first.refresh_from_db()
    assert (first.status, first.findings[0].code) == (Status.REJECTED, "cancelled")
    begin(acme, "noir", adapter_files())


def test_a_finished_upload_is_not_cancelled(acme, engine):
    version = uploaded(acme)
    with pytest.raises(VersionMoved):
        sessions.cancel_upload(version)
    stale = AdapterVersion.objects.get(pk=version.pk)
    stale.handed_in_at = None  # as a page knows it that was read before
    with pytest.raises(VersionMoved):
        sessions.cancel_upload(stale)
    assert pipeline.advance_version(version) is not None
    assert version.status == Status.PUSHING


def test_uploads_an_hour_are_limited_also_when_all_are_cancelled(acme, base_model):
    for _ in range(30):
        version, _ = begin(acme, "noir", adapter_files())
        sessions.cancel_upload(version)
    assert "30 uploads were started in the last hour" in fault(acme)
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    begin(acme, "noir", adapter_files())


def test_versions_are_limited_and_erased_ones_make_room(acme, engine):
    limited(stored_versions=1)
    version = uploaded(acme)
    pipeline.advance_version(version)
    assert "Your plan includes 1 stored versions, and you have 1" in fault(acme)
    AdapterVersion.objects.update(files_gone_at=timezone.now())
    begin(acme, "noir", adapter_files())


def test_what_is_stored_counts_as_it_really_is(acme, engine):
    files = adapter_files()
    sizes = sum(map(len, files.values()))
    packed = zipped(files | {"notes.txt": b"0" * MIB})
    version = uploaded(acme, files={"noir.zip": packed})
    assert AdapterVersion.objects.get().stored_bytes == len(packed)
    pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.stored_bytes) == (Status.PUSHING, sizes)
    assert storage_quota.storage_of(acme).used_bytes == sizes


def test_an_archive_that_is_larger_than_the_plan_once_unpacked_is_rejected_and_goes(acme, engine):
    packed = zipped(adapter_files(rank=16))
    limited(stored_bytes=len(packed) + 100)
    version = uploaded(acme, files={"noir.zip": packed})
    pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.findings[0].code) == (Status.REJECTED, "plan_full")
    assert (
        keys(object_store.sealed_key(version.pk, "")) == keys(object_store.upload_key(version.pk, "")) == []
    )


def test_the_first_party_has_no_limits(polyscribe, base_model):
    limited(stored_bytes=0, stored_versions=0, open_uploads=0)
    begin(polyscribe, "poetry", adapter_files())


def test_rejected_uploads_do_not_count_against_the_number_of_styles(acme, engine):
    for slug in ("a", "b", "c"):
        pipeline.advance_version(uploaded(acme, slug, adapter_files(base="Llama-3.1-8B")))
    assert set(AdapterVersion.objects.values_list("status", flat=True)) == {Status.REJECTED}
    for slug in ("d", "e", "f"):
        uploaded(acme, slug)
    assert "Your plan includes 3 private styles, and you have 3" in fault(acme, "a")  # it would be the fourth
    assert Style.objects.count() == 6


def test_the_upload_page_shows_what_is_used_before_anything_is_chosen(acme, alice_client, base_model):
    sessions.begin_upload(acme, None, StyleDescription(slug="noir", name="Noir"), {"noir.zip": 500_000_000})
    page = alice_client.get(reverse("adapters:upload")).content.decode()
    for text in (
        "0.5 GB of 2.0 GB used",
        "1 of 30 versions",
        "1 of 3 uploads open",
        "1 of 30 uploads started this hour",
    ):
        assert text in page
