"""What browsers post reaches no other document, and no address takes a document of another training.

tests/website/test_every_address.py asks every address of a training as a stranger.
"""

from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from adapters.errors import NotStored
from adapters.object_store import Upload
from tests.adapters.builders import post
from tests.tenants.builders import issue_key
from tests.training.builders import read_all
from training import actions, storage
from training.models import Document, Training

pytestmark = pytest.mark.django_db


@pytest.fixture
def forms(access, draft: Training) -> dict[str, Upload]:
    """The forms of two documents that are still to be posted, by their document's id."""
    added = actions.add_documents(access, draft, {"one.txt": 4, "two.txt": 4})
    return {str(document.pk): form for document, form in added}


def test_a_document_of_another_training_is_not_found_through_an_own_one(charlies, draft):
    _, secret = issue_key(charlies, name="all", by=None, scopes=["styles:read", "styles:write"])
    stranger = Client(headers={"Authorization": f"Bearer {secret}"})
    own = Training.objects.create(tenant=charlies, slug="own", name="Own")
    document = draft.documents.first()
    address = reverse("api:trainings.documents.edit", args=[own.pk, document.pk])
    assert stranger.delete(address).status_code == 404
    assert Document.objects.filter(pk=document.pk).exists()
    listed = stranger.get("/api/v1/trainings").json()["data"]
    assert [one["id"] for one in listed] == [str(own.pk)]


def test_a_form_posts_nothing_but_its_own_document(draft, forms):
    (first, form), (second, _) = forms.items()
    read = draft.documents.learned().first()
    folder = storage.folder_of(draft.pk)
    text = storage.read_text(read)
    for key in (f"{folder}posted/{second}", f"{folder}texts/{read.pk}", f"{folder}learn.jsonl", "adapters/x"):
        stolen = replace(form, fields={**form.fields, "key": key})
        assert post(stolen, b"evil") == 403
    assert storage.read_text(read) == text
    with pytest.raises(NotStored):
        storage.read_posted(Document.objects.get(pk=second))
    assert post(form, b"more than announced") in (400, 403, 413)
    assert post(form, b"fine") in (200, 201, 204)
    assert storage.read_posted(Document.objects.get(pk=first)) == b"fine"


def test_what_is_posted_after_the_reading_changes_no_text(access, draft, forms):
    first, form = next(iter(forms.items()))
    document = Document.objects.get(pk=first)
    assert post(form, b"fine") in (200, 201, 204)
    actions.finish_documents(access, draft)
    read_all()
    document.refresh_from_db()
    assert document.status == Document.Status.READ
    assert post(form, b"evil") in (200, 201, 204)
    assert actions.finish_documents(access, draft) == 0
    read_all()
    assert storage.read_text(document) == "fine"
