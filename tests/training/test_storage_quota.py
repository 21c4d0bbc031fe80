"""Documents count against the plan's storage, together with files and versions."""

import pytest
from django.urls import reverse

from core.sizes import MIB
from metering.models import PlanVersion
from tests.training.builders import read_all
from training import actions, files, storage
from training.errors import StorageFull
from training.models import Document

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reads_here")]


@pytest.fixture
def training(access, base_model, valkey):
    return actions.create_training(access, slug="my-voice", name="My voice")


def test_a_document_counts_as_posted_then_as_text_until_it_is_deleted(acme, access, training):
    [(announced, _)] = actions.add_documents(access, training, {"chapter.docx": 3 * MIB})
    assert storage.count_stored_bytes(acme) == 3 * MIB
    actions.delete_document(access, announced)
    text = actions.add_text(access, training, "letter.txt", "Dear Anna, the river had risen. " * 40)
    read_all()
    text.refresh_from_db()
    assert text.status == Document.Status.READ
    assert storage.count_stored_bytes(acme) == text.text_bytes > 0
    actions.delete_document(access, text)
    assert storage.count_stored_bytes(acme) == 0


def test_a_refused_document_does_not_count(acme, access, training):
    actions.add_text(access, training, "broken.docx", "no archive")
    read_all()
    assert training.documents.get().status == Document.Status.REFUSED
    assert storage.count_stored_bytes(acme) == 0


def test_files_and_documents_share_what_the_plan_has(acme, access, training):
    PlanVersion.objects.update(stored_bytes=10 * MIB)
    files.begin_file(acme, name="chats.jsonl", size_bytes=6 * MIB)
    with pytest.raises(StorageFull) as refused:
        actions.add_documents(access, training, {"one.docx": 3 * MIB, "two.docx": 2 * MIB})
    assert "6.0 MB is in use, and this upload needs 5.0 MB" in refused.value.message
    assert not training.documents.exists()
    actions.add_documents(access, training, {"one.docx": 3 * MIB})
    with pytest.raises(StorageFull):
        files.begin_file(acme, name="more.jsonl", size_bytes=2 * MIB)


def test_a_member_reads_why_and_a_program_gets_the_code(alice_client, acme, training):
    PlanVersion.objects.update(stored_bytes=MIB)
    body = {"files": [{"name": "one.docx", "size": 2 * MIB}]}
    address = reverse("training:announce_documents", args=[training.pk])
    answer = alice_client.post(address, body, content_type="application/json")
    assert answer.status_code == 409
    [sentence] = answer.json()["errors"]["__all__"]
    assert sentence.startswith("Your plan includes 1.0 MB of storage: 0.0 MB is in use")
