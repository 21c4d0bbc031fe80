"""A document reaches no other workspace: not by the API, not by pages, not by what browsers post."""

from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from adapters.errors import NotStored
from adapters.object_store import Upload
from tenants.models import Tenant
from tenants.public import issue_key
from tests.adapters.builders import post
from tests.training.conftest import list_stored
from training import actions, documents, pipeline, storage
from training.api.urls import urlpatterns
from training.models import Document, Training

pytestmark = pytest.mark.django_db
BODIES = {"training_text": {"name": "a.txt", "text": "Mine now."}, "start_training": {"rights": True}}


@pytest.fixture
def stranger(charlies: Tenant) -> Client:
    """Charlie's key, which may do all in Charlie's workspace."""
    _, secret = issue_key(charlies, name="all", by=None, scopes=["styles:read", "styles:write"])
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def forms(access, draft: Training) -> dict[str, Upload]:
    """The forms of two documents that are still to be posted, by their document's id."""
    added = documents.add_documents(draft, {"one.txt": 4, "two.txt": 4})
    return {str(document.pk): form for document, form in added}


def test_every_address_of_a_training_is_not_found_for_another_workspace(stranger, draft):
    document = draft.documents.first()
    before = list_stored(draft.pk)
    asked = 0
    for pattern in urlpatterns:
        arguments = {"training_id": draft.pk, "document_id": document.pk}
        known = {name: arguments[name] for name in pattern.pattern.converters}
        if not known:
            continue
        address = reverse(f"api:{pattern.name}", kwargs=known)
        for method in pattern.callback.view_class.http_method_names:
            if not hasattr(pattern.callback.view_class, method) or method == "options":
                continue
            body = BODIES.get(pattern.name, {})
            answer = getattr(stranger, method)(address, body, content_type="application/json")
            assert answer.status_code == 404, (method, address, answer.content)
            assert document.first_words.encode() not in answer.content
            asked += 1
    assert asked > 10
    assert list_stored(draft.pk) == before
    assert not stranger.get(reverse("api:trainings")).json()["data"]


def test_a_document_of_another_training_is_not_found_through_an_own_one(access, stranger, charlies, draft):
    own = Training.objects.create(tenant=charlies, slug="own", name="Own")
    document = draft.documents.first()
    address = reverse("api:training_document", args=[own.pk, document.pk])
    assert stranger.delete(address).status_code == 404
    assert Document.objects.filter(pk=document.pk).exists()


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
    pipeline.advance_training(draft)
    document.refresh_from_db()
    assert document.status == Document.Status.READ
    assert post(form, b"evil") in (200, 201, 204)
    assert actions.finish_documents(access, draft) == 0
    pipeline.advance_training(draft)
    assert storage.read_text(document) == "fine"
