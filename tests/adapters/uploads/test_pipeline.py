"""The check as the worker does it: by ranges, out of archives, by conversions, and not for ever."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from safetensors.numpy import load, save

from adapters import actions, object_store
from adapters.errors import NothingToConvert, StorageUnavailable
from adapters.models import AdapterVersion, Status
from adapters.placement import reconciler
from adapters.uploads import pipeline, pruner, sessions
from adapters.validation import validate_adapter
from adapters.validation.limits import CONFIG_FILE, WEIGHTS_FILE
from adapters.validation.sources import LocalFile, ReadAhead
from tests.adapters.builders import adapter_files, by, storage_down, uploaded, zipped
from tests.adapters.validation.sources import config_of, memory_below, wide_base, wide_weights

pytestmark = pytest.mark.django_db

MEMORY_BYTES = 64 * 1024 * 1024
BASE = "base_model_name_or_path"


def stored(version: AdapterVersion) -> dict[str, bytes]:
    """Return the sealed files of a version by name."""
    client = object_store.client.internal_client()
    keys = {
        key.rsplit("/", 1)[-1]: key
        for key in object_store.client.list_keys(object_store.sealed_key(version.pk, ""))
    }
    bucket = settings.S3_BUCKET
    return {name: client.get_object(Bucket=bucket, Key=key)["Body"].read() for name, key in keys.items()}


def packed(files: dict[str, bytes], folder: str = "") -> dict[str, bytes]:
    return {"my own../name.ZIP": zipped({f"{folder}{name}": content for name, content in files.items()})}


# By ranges.


def test_a_sealed_file_reads_as_the_file_itself(tmp_path):
    version_id, dice = uuid4(), random.Random(7)
    data = dice.randbytes(20_000_000)
    (tmp_path / "file").write_bytes(data)
    local = LocalFile(tmp_path / "file")
    object_store.write(
        version_id, WEIGHTS_FILE, (data[at : at + 777_777] for at in range(0, len(data), 777_777))
    )
    with object_store.reading(version_id, WEIGHTS_FILE) as sealed:
        assert sealed.size == local.size
        position = 0
        for _ in range(60):
            length = dice.choice([0, 1, 100, 1_000_000, 4_000_000])
            if dice.random() < 0.3:
                position = dice.randrange(local.size + 10)
            assert sealed.read(position, length) == local.read(position, length)
            position += length


def test_what_is_written_is_there_whole_or_not_at_all():
    version_id = uuid4()

    def breaking():
        yield bytes(9_000_000)
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        object_store.write(version_id, WEIGHTS_FILE, breaking())
    assert object_store.remaining(version_id, [WEIGHTS_FILE]) == []
    object_store.write(version_id, WEIGHTS_FILE, [])
    with object_store.reading(version_id, WEIGHTS_FILE) as empty:
        assert (empty.size, empty.read(0, 10)) == (0, b"")


def test_a_fault_while_reading_ahead_is_raised_where_it_is_read():
    class Broken:
        size = 100

        def read(self, start, length):
            if start >= 60:
                raise StorageUnavailable
            return bytes(length)

    with ReadAhead(Broken()) as source:
        for start in (0, 20, 40):
            source.read(start, 20)
        with pytest.raises(StorageUnavailable):
            source.read(60, 20)


def test_what_is_written_and_checked_need_not_fit_into_memory():
    base = wide_base(layers=260)
    source = wide_weights(base)
    version_id = uuid4()
    try:
        with memory_below(MEMORY_BYTES * 0.75):
            chunks = (source.read(at, 1_000_000) for at in range(0, source.size, 1_000_000))
            object_store.write(version_id, WEIGHTS_FILE, chunks)
            with object_store.reading(version_id, WEIGHTS_FILE) as sealed:
                report = validate_adapter(config_of(base), sealed, base, 16)
    finally:
        object_store.erase(version_id)
    assert source.size > 2 * MEMORY_BYTES
    assert (report.findings, report.layers) == ((), 260)


# Out of archives.


def test_an_archive_is_unpacked_checked_and_serves(acme, engine, vllm, folder):
    files = adapter_files()
    version = uploaded(acme, files=packed(files, "noir/"))
    assert list(version.files) == ["adapter.zip"]
    pipeline.advance_version(version)
    assert (version.status, version.size_bytes) == (Status.PUSHING, len(files[WEIGHTS_FILE]))
    assert stored(version) == files
    assert object_store.uploaded_size(version.pk, "adapter.zip") is None
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.SERVING


def test_an_evil_archive_is_rejected_and_nothing_of_it_stays(acme, engine):
    version = uploaded(acme, files=packed({**adapter_files(), "training_args.bin": b"\x80\x04."}))
    pipeline.advance_version(version)
    assert (version.status, [found.code for found in version.findings]) == (
        Status.REJECTED,
        ["file_pickle"],
    )
    assert stored(version) == {}


# By conversions.


def training_names(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return an adapter as it is while training: the tensors' names without prefix and with an infix."""
    tensors = load(files[WEIGHTS_FILE])
    renamed = {
        name.removeprefix("base_model.model.").replace(".weight", ".default.weight"): tensor
        for name, tensor in tensors.items()
    }
    return {**files, WEIGHTS_FILE: save(renamed)}


def rejected(tenant) -> AdapterVersion:
    version = uploaded(tenant, files=training_names(adapter_files()))
    pipeline.advance_version(version)
    assert (version.status, version.conversions) == (Status.REJECTED, ["names"])
    return version


def test_two_clicks_convert_a_rejected_version_into_one_new_one(acme, engine, alice_client, charlie_client):
    original = rejected(acme)
    convert = reverse("adapters:convert", args=[original.pk])
    page = alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    assert sessions.CONVERSIONS["names"].replace("<", "&lt;").replace(">", "&gt;") in page
    assert charlie_client.post(convert).status_code == 404
    assert alice_client.post(convert, follow=True).status_code == 200
    assert alice_client.post(convert).status_code == 302
    version = AdapterVersion.objects.get(number=2)
    assert (version.converted_from, version.status) == (original, Status.UPLOADED)

    pipeline.advance_version(version)
    assert version.status == Status.PUSHING
    expected, made = load(adapter_files()[WEIGHTS_FILE]), load(stored(version)[WEIGHTS_FILE])
    assert made.keys() == expected.keys()
    assert all((made[name] == expected[name]).all() for name in expected)
    original.refresh_from_db()
    assert (original.conversions, stored(original)) == ([], {})
    assert (
        "Converted from the files of version 1."
        in alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    )
    with pytest.raises(NothingToConvert):
        actions.convert_version(by(), uploaded(acme, "odes"))


def test_a_conversion_that_nobody_wants_is_withdrawn_after_a_week(acme, engine):
    version = rejected(acme)
    pruner.withdraw_old_conversions()
    assert set(stored(version)) == {CONFIG_FILE, WEIGHTS_FILE}
    version.history.update(at=timezone.now() - timedelta(days=7, minutes=1))
    pruner.withdraw_old_conversions()
    version.refresh_from_db()
    assert (version.conversions, stored(version)) == ([], {})
    with pytest.raises(NothingToConvert):
        actions.convert_version(by(), version)


def test_a_conversion_whose_files_are_gone_says_so(acme, engine):
    original = rejected(acme)
    version = actions.convert_version(by(), original)
    object_store.erase(original.pk)
    pipeline.advance_version(version)
    assert (version.status, version.findings[0].code) == (Status.REJECTED, "not_stored")


# Bounded attempts.


def test_files_that_kill_the_worker_are_tried_three_times(acme, engine, monkeypatch):
    version = uploaded(acme)

    def die(*args):
        raise SystemExit

    monkeypatch.setattr(pipeline, "validate_adapter", die)
    for _ in range(3):
        with pytest.raises(SystemExit):
            pipeline.advance_version(AdapterVersion.objects.get(pk=version.pk))
    pipeline.advance_version(version)
    assert (version.status, version.findings[0].code) == (Status.REJECTED, "check_failed")
    assert set(stored(version)) == {CONFIG_FILE, WEIGHTS_FILE}


def test_a_storage_that_is_away_is_no_examination(acme, engine):
    version = uploaded(acme)
    with storage_down():
        for _ in range(5):
            pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.examinations) == (Status.UPLOADED, 0)
    pipeline.advance_version(version)
    assert version.status == Status.PUSHING
