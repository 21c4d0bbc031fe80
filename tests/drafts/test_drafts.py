"""Drafts: whose they are, what two tabs do, what is kept, and what a style wrote of them."""

import io
import re
import threading
from datetime import timedelta

import docx
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.members import remove_member
from drafts import actions
from drafts.errors import DraftChanged, FileUnreadable, TooManyDrafts
from drafts.models import Draft, DraftSnapshot
from inference import exports
from metering.models import PlanVersion
from operations.retention import TABLE
from tenants.access import Access
from tenants.models import Membership
from tenants.roles import RoleNotAllowed
from tests.tenants.builders import issue_key, owner_of

PASSAGE = {"request_id": "req_1", "model": "poetry", "text": "the ferry lay low in the water"}


@pytest.fixture
def by_alice(acme, alice) -> Access:
    return Access(tenant=acme, user=alice, role="owner")


@pytest.fixture
def by_bob(acme, bob) -> Access:
    return Access(tenant=acme, user=bob, role="member")


@pytest.fixture
def draft(by_alice) -> Draft:
    return actions.create_draft(by_alice, title="Ferry", text="The river rose.")


@pytest.mark.django_db
def test_only_its_author_opens_a_draft_until_it_is_shared(draft, by_alice, by_bob):
    assert not Draft.objects.visible_to(by_bob.tenant, by_bob.maker).exists()
    actions.edit_draft(by_alice, draft, is_shared=True)
    assert Draft.objects.visible_to(by_bob.tenant, by_bob.maker).get() == draft
    with pytest.raises(RoleNotAllowed):
        actions.delete_draft(by_bob, draft)
    actions.save_draft(by_bob, draft, revision=1, text="Bob was here.")
    draft.refresh_from_db()
    assert draft.text == "Bob was here."


@pytest.mark.django_db
def test_the_older_of_two_tabs_is_refused_and_its_text_is_kept(draft, by_alice):
    actions.save_draft(by_alice, draft, revision=1, text="Newer.")
    with pytest.raises(DraftChanged):
        actions.save_draft(by_alice, draft, revision=1, text="Older.")
    draft.refresh_from_db()
    assert (draft.text, draft.revision) == ("Newer.", 2)
    assert [(one.reason, one.text) for one in draft.snapshots.all()] == [("overtaken", "Older.")]


@pytest.mark.django_db(transaction=True)
def test_of_tabs_that_save_at_once_one_wins_and_no_text_is_lost(draft, by_alice):
    texts = [f"Text {number}." for number in range(6)]
    gate = threading.Barrier(len(texts))

    def save(text: str) -> None:
        gate.wait()
        try:
            actions.save_draft(by_alice, draft, revision=1, text=text)
        except DraftChanged:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    draft.refresh_from_db()
    kept = set(draft.snapshots.values_list("text", flat=True))
    assert draft.revision == 2
    assert kept | {draft.text} == set(texts)


@pytest.mark.django_db
def test_a_restored_text_can_be_taken_back(draft, by_alice):
    first = actions.take_snapshot(by_alice, draft)
    assert actions.take_snapshot(by_alice, draft) == first
    actions.save_draft(by_alice, draft, revision=1, text="Later.")
    assert actions.restore_snapshot(by_alice, first).text == "The river rose."
    assert draft.snapshots.get(reason="restored").text == "Later."


@pytest.mark.django_db
def test_old_snapshots_make_room_and_what_was_accepted_stays_known(draft, by_alice, monkeypatch):
    monkeypatch.setattr(actions, "MAX_SNAPSHOTS", 3)
    for number in range(6):
        draft.refresh_from_db()
        passage = PASSAGE | {"request_id": f"req_{number}"}
        text = f"Text {number}."
        actions.save_draft(by_alice, draft, revision=draft.revision, text=text, passages=[passage])
    with_text = draft.snapshots.filter(has_text=True).order_by("created_at")
    assert [one.text for one in with_text] == ["Text 2.", "Text 3.", "Text 4."]
    assert len(actions.list_passages(draft)) == 6
    assert DraftSnapshot.objects.filter(has_text=False).exclude(text="").count() == 0
    monkeypatch.setattr(actions, "MAX_ACCEPTED_CHARACTERS", 0)
    draft.refresh_from_db()
    actions.take_snapshot(by_alice, draft)
    assert len(actions.list_passages(draft)) == 2  # those with a text


@pytest.mark.django_db
def test_who_got_no_answer_sends_an_acceptance_again_and_overtakes_nobody(draft, by_alice):
    for _ in range(2):
        actions.save_draft(by_alice, draft, revision=1, text="Accepted.", passages=[PASSAGE])
    assert draft.snapshots.count() == 1
    with pytest.raises(DraftChanged):
        actions.save_draft(by_alice, draft, revision=1, text="Something else.", passages=[PASSAGE])


@pytest.mark.django_db
def test_a_plan_says_how_many_drafts_there_are(by_alice):
    PlanVersion.objects.update(drafts=1)
    actions.create_draft(by_alice)
    with pytest.raises(TooManyDrafts):
        actions.create_draft(by_alice)


@pytest.mark.django_db
def test_a_file_that_cannot_be_read_says_why(by_alice):
    with pytest.raises(FileUnreadable, match="old Office format"):
        actions.import_file(by_alice, name="a.doc", content=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert actions.import_file(by_alice, name="ferry.txt", content=b"The river rose.").title == "ferry"


@pytest.mark.django_db
def test_a_receipt_is_kept_with_its_passage(draft, by_alice, monkeypatch):
    monkeypatch.setattr(actions, "issue_receipt", lambda tenant, request_id: f"signed {request_id}")
    actions.save_draft(by_alice, draft, revision=1, text="Text.", passages=[PASSAGE])
    assert actions.list_passages(draft)[0]["receipt"] == "signed req_1"
    monkeypatch.setattr(actions, "issue_receipt", lambda *_: pytest.fail("it is kept"))
    assert actions.list_passages(draft)[0]["receipt"] == "signed req_1"


@given(st.lists(st.sampled_from(["a", "b", "ferry", "river", "low"]), max_size=40))
def test_what_a_style_wrote_is_between_nothing_and_all(words):
    text = " ".join(words)
    assert actions.count_generated(text, []) == 0
    assert actions.count_generated(text, [{**PASSAGE, "text": text}]) == (
        len(words) if len(words) >= 4 else 0
    )
    assert 0 <= actions.count_generated(text, [PASSAGE]) <= len(words)


@pytest.mark.django_db
def test_saving_by_the_page_answers_with_the_newest_text_where_it_refuses(draft, alice_client):
    address = reverse("drafts:save", args=[draft.pk])
    sent = {"title": "Ferry", "text": "Newer.", "revision": 1}
    assert alice_client.post(address, sent, content_type="application/json").json()["revision"] == 2
    older = alice_client.post(address, {**sent, "text": "Older."}, content_type="application/json")
    assert older.status_code == 409
    assert (older.json()["text"], older.json()["revision"]) == ("Newer.", 2)
    assert alice_client.post(address, b"[]", content_type="application/json").status_code == 400


@pytest.mark.django_db
def test_a_newer_text_that_is_replaced_stays_in_the_history(draft, alice_client):
    address = reverse("drafts:save", args=[draft.pk])
    sent = {"title": "Ferry", "text": "Newer.", "revision": 1}
    alice_client.post(address, sent, content_type="application/json")
    mine = {**sent, "text": "Mine.", "revision": 2, "replaces": True}
    assert alice_client.post(address, mine, content_type="application/json").json()["revision"] == 3
    assert draft.snapshots.get(reason="overtaken").text == "Newer."


@pytest.mark.django_db
def test_without_javascript_a_conflict_is_answered_with_what_was_typed_and_a_second_save_replaces(
    draft, by_alice, alice_client
):
    actions.save_draft(by_alice, draft, revision=1, text="Newer.")
    address = reverse("drafts:draft", args=[draft.pk])
    page = alice_client.post(address, {"title": "Ferry", "text": "Mine.", "revision": 1})
    assert page.status_code == 400
    assert "Mine." in page.text
    fields = dict(re.findall(r'type="hidden" name="(revision|replaces)" value="(\w+)"', page.text))
    assert fields == {"revision": "2", "replaces": "on"}
    alice_client.post(address, {"title": "Ferry", "text": "Mine.", **fields})
    draft.refresh_from_db()
    assert draft.text == "Mine."
    assert set(draft.snapshots.values_list("text", flat=True)) == {"Mine.", "Newer."}


@pytest.mark.django_db
def test_drafts_without_a_title_are_told_apart_by_their_first_words(by_alice, alice_client):
    actions.create_draft(by_alice, text="\n The river   had risen\nin the night, and <b> was wet.")
    actions.create_draft(by_alice)
    page = alice_client.get(reverse("drafts:drafts")).text
    assert ">The river had risen in the night, and…</a>" in page
    assert ">Untitled</a>" in page


@pytest.mark.django_db
def test_an_empty_draft_is_opened_again(by_alice, alice_client):
    opened = [alice_client.post(reverse("drafts:create"))["Location"] for _ in range(2)]
    assert len(set(opened)) == 1
    actions.save_draft(by_alice, Draft.objects.get(), revision=1, text="Begun.")
    assert alice_client.post(reverse("drafts:create"))["Location"] != opened[0]


@pytest.mark.django_db
def test_an_owner_stops_sharing_a_colleagues_draft_and_lands_on_the_list(by_bob, alice_client):
    draft = actions.create_draft(by_bob, text="Bob's.")
    actions.edit_draft(by_bob, draft, is_shared=True)
    answer = alice_client.post(reverse("drafts:edit", args=[draft.pk]), {"is_shared": "off"}, follow=True)
    assert "Only its author can open it now." in answer.text


@pytest.mark.django_db
def test_a_key_that_only_writes_text_opens_no_draft(draft, acme, alice):
    statuses = {}
    for scope in ("inference", "drafts:write"):
        _, secret = issue_key(acme, name=scope, by=alice, scopes=[scope])
        answer = Client().get(f"/api/v1/drafts/{draft.pk}", headers={"Authorization": f"Bearer {secret}"})
        statuses[scope] = answer.status_code
    assert statuses == {"inference": 403, "drafts:write": 200}


@pytest.mark.django_db
def test_a_draft_leaves_as_it_was_typed_and_one_that_word_cannot_take_says_so(
    draft, by_alice, alice_client, monkeypatch
):
    typed = "1. May\n# no heading\n\n*not* bold"
    actions.save_draft(by_alice, draft, revision=1, text=typed)
    word = reverse("drafts:download_docx", args=[draft.pk])
    title, *paragraphs, _end = docx.Document(io.BytesIO(alice_client.get(word).content)).paragraphs
    assert (title.text, "\n\n".join(one.text for one in paragraphs)) == ("Ferry", typed)
    assert alice_client.get(reverse("drafts:download_md", args=[draft.pk])).text == f"# Ferry\n\n{typed}\n"
    assert alice_client.get(reverse("drafts:download_txt", args=[draft.pk])).text == f"{typed}\n"
    monkeypatch.setattr(exports, "MAX_LINES", 2)
    assert "Save it as text instead" in alice_client.get(word, follow=True).text


@pytest.mark.django_db
def test_a_program_that_has_not_said_what_it_read_loses_nothing_of_the_text_before(draft, acme, alice):
    _, secret = issue_key(acme, name="editor", by=alice, scopes=["drafts:write"])
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    address = f"/api/v1/drafts/{draft.pk}"

    def patch(headers=None, **body):
        return client.patch(address, body, content_type="application/json", headers=headers)

    read = patch(title="River")
    assert not draft.snapshots.exists(), "the text is the same"
    assert patch({"If-Match": read["ETag"]}, text="Read before.").status_code == 200
    assert not draft.snapshots.exists()
    assert patch({"If-Match": read["ETag"]}, text="Too late.").status_code == 412
    assert patch(text="Unread.").json()["text"] == "Unread."
    assert patch({"If-Match": "*"}, text="Unread, too.").status_code == 200
    kept = draft.snapshots.order_by("created_at").values_list("reason", "text")
    assert list(kept) == [("overtaken", "Read before."), ("overtaken", "Unread.")]


@pytest.mark.django_db
def test_private_drafts_go_30_days_after_their_author_has_left(acme, alice, bob, by_bob):
    draft = actions.create_draft(by_bob, text="Bob's.")
    shared = actions.edit_draft(by_bob, actions.create_draft(by_bob), is_shared=True)
    Draft.objects.update(changed_at=timezone.now() - timedelta(days=300))
    [sweep] = next(row for row in TABLE if row.name == "Draft").delete
    assert sweep(timezone.now()) == 0
    remove_member(Membership.objects.get(user=bob), by=owner_of(acme, alice))
    assert sweep(timezone.now() + timedelta(days=29)) == 0
    assert sweep(timezone.now() + timedelta(days=31)) == 1
    assert Draft.objects.get() == shared != draft
