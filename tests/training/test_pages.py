"""The pages of trainings: from a name to a style that goes live, and what is said of what is wrong."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters.models import BaseModel, Style
from events.models import EventType
from events.notices import sending
from events.outbox import record_event
from metering import trainings as charges
from tests.adapters.builders import known
from tests.training.builders import read_all
from training import pipeline
from training.models import Document, Status, Training
from training.notes import TrainingFailure
from training.views.progress import describe_left
from training.views.texts import SAMPLE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "reads_here")]

DETAILS = re.compile(r'<details class="disclosure" id="details">.*?</details>', re.DOTALL)
JARGON = re.compile(r"\b(LoRA|epochs?|rank|adapter|loss(es)?|tokens?|hyperparameters?)\b", re.IGNORECASE)
PAGES = ("texts", "review", "cost", "progress")


@pytest.fixture
def training(acme, alice, settings) -> Training:
    settings.BASE_MODEL = "base"
    BaseModel.objects.get_or_create(name="base", defaults={"config": {}, "modules": {}})
    return Training.objects.create(tenant=acme, created_by=alice, slug="my-voice", name="My voice")


@pytest.fixture
def ready(training: Training, alice_client) -> Training:
    """A training whose sample text is read, and whose examples are made."""
    alice_client.post(address("add_sample", training))
    read_all()
    alice_client.post(address("prepare", training))
    pipeline.advance_training(training)
    return training


def address(name: str, training: Training, *more: object) -> str:
    return reverse(f"training:{name}", args=[training.pk, *more])


def announce(client: Client, training: Training, body: object) -> HttpResponse:
    return client.post(address("announce_documents", training), body, content_type="application/json")


def move(training: Training, status: Status, **facts: object) -> None:
    Training.objects.filter(pk=training.pk).update(status=status, **facts)
    training.refresh_from_db()


def test_a_name_is_refused_before_any_text_is_added(alice_client, acme):
    for slug, words in {"base": "reserved", "My Voice": "lowercase"}.items():
        answer = alice_client.post(reverse("training:new"), {"name": "My voice", "slug": slug})
        assert answer.status_code == 400
        assert words in answer.text
        assert 'value="My voice"' in answer.text, "nothing typed is lost"
    assert not Training.objects.exists()


def test_the_short_name_is_made_from_the_name_and_can_be_changed(alice_client, training):
    alice_client.post(reverse("training:new"), {"name": "Élodie's notes!"})
    assert Training.objects.latest("created_at").slug == "elodies-notes"
    alice_client.post(address("rename", training), {"name": "Letters", "slug": "letters"})
    training.refresh_from_db()
    assert (training.name, training.slug) == ("Letters", "letters")
    refused = alice_client.post(address("rename", training), {"name": "Base", "slug": "base"})
    assert "reserved" in refused.text
    assert 'value="Base"' in refused.text
    move(training, Status.QUEUED)
    alice_client.post(address("rename", training), {"name": "Late", "slug": "late"})
    training.refresh_from_db()
    assert training.slug == "letters"


def test_files_are_posted_to_the_storage_and_each_refusal_names_its_file(alice_client, training):
    files = [
        {"name": "ch-1.docx", "size": 700},
        {"name": "a\0b.txt", "size": 3},
        {"name": "song.mp3", "size": 9},
        {"name": "e.txt", "size": 0},
    ]
    answer = announce(alice_client, training, {"files": files})
    assert answer.status_code == 201
    uploads = answer.json()["uploads"]
    assert [upload["name"] for upload in uploads] == ["ch-1.docx", "ab.txt"]  # PostgreSQL stores no NUL
    assert all({"key", "policy"} <= upload["fields"].keys() for upload in uploads)
    refused = {one["name"]: one["why"] for one in answer.json()["refused"]}
    assert refused.keys() == {"song.mp3", "e.txt"}
    assert "song.mp3 is not supported. Use .txt" in refused["song.mp3"]
    assert "e.txt is empty" in refused["e.txt"]
    assert {document.status for document in training.documents.all()} == {Document.Status.UPLOADING}


def test_what_is_no_list_of_files_is_refused(alice_client, training):
    for body in (
        "",
        "[]",
        "{}",
        '{"files": []}',
        '{"files": [1]}',
        '{"files": [{"name": "a.txt", "size": "x"}]}',
    ):
        assert announce(alice_client, training, body).status_code == 400, body
    assert not training.documents.exists()


def test_without_javascript_files_and_pasted_texts_come_with_the_form(alice_client, training):
    files = [SimpleUploadedFile("one.txt", b"The river rose."), SimpleUploadedFile("two.txt", b"It fell.")]
    alice_client.post(address("add_texts", training), {"files": files})
    alice_client.post(
        address("add_texts", training), {"text": "I keep the ferry at Sallow Hythe. That is all."}
    )
    read_all()
    names = set(training.documents.filter(status="read").values_list("name", flat=True))
    assert names == {"one.txt", "two.txt", "I keep the ferry at Sallow.txt"}
    page = alice_client.get(address("texts", training)).text
    assert "The river rose." in page
    assert "A style needs at least 3,000 words" in page


def test_too_little_text_is_refused_with_its_number(alice_client, training):
    alice_client.post(address("add_texts", training), {"text": "The river rose. " * 200})
    read_all()
    assert alice_client.post(address("prepare", training))["Location"] == address("review", training)
    assert "every 1s" in alice_client.get(address("review", training)).text
    pipeline.advance_training(training)
    part = alice_client.get(address("preparing", training))
    assert part["HX-Redirect"] == address("texts", training)
    page = alice_client.get(address("texts", training)).text
    assert re.search(r"Your texts have [\d,]+ words; a style needs at least 3,000", page)


def test_a_text_that_is_left_out_does_not_count(alice_client, training):
    alice_client.post(address("add_sample", training))
    read_all()
    assert "3,464 words read" in alice_client.get(address("documents", training)).text
    document = training.documents.get()
    alice_client.post(address("leave_out_document", training, document.pk), {"is_left_out": "on"})
    assert "0 words read" in alice_client.get(address("documents", training)).text
    alice_client.post(address("leave_out_document", training, document.pk))
    assert "3,464 words read" in alice_client.get(address("documents", training)).text


def test_what_was_understood_is_shown_and_passages_can_be_left_out(alice_client, ready):
    page = alice_client.get(address("review", ready))
    assert "learns from 3,464 words in 1 text" in page.text
    assert "3,464 words are enough to start" in page.text
    passages = page.context["passages"]
    total = passages.paginator.count
    assert passages[0]["text"][:30] in SAMPLE.read_text()
    assert "Select the passages" in alice_client.post(address("leave_out_passages", ready), follow=True).text
    alice_client.post(address("leave_out_passages", ready), {"passage": [passages[0]["id"]]})
    pipeline.advance_training(ready)
    fewer = alice_client.get(address("review", ready))
    assert fewer.context["passages"].paginator.count == total - 1
    assert "1 passage left out" in fewer.text
    alice_client.post(address("leave_out_passages", ready), {"take_in": "on"})
    pipeline.advance_training(ready)
    assert alice_client.get(address("review", ready)).context["passages"].paginator.count == total


def test_nothing_starts_without_the_statement_of_rights(alice_client, ready):
    page = alice_client.get(address("cost", ready))
    assert "$" in page.context["most"]
    assert "trainings used this month" in page.text
    assert "Start training" in page.text
    refused = alice_client.post(address("start", ready), {"keeps_documents": "on"})
    assert refused.status_code == 400
    assert "Confirm that the texts are yours" in refused.text
    assert re.search(r'name="keeps_documents"[^>]* checked', refused.text), "what was ticked stays"
    ready.refresh_from_db()
    assert ready.status == Status.READY


def test_a_training_that_cannot_be_paid_for_says_so_and_where_to_add_credits(alice_client, ready):
    refused = alice_client.post(address("start", ready), {"rights": "on"})
    assert refused.status_code == 409
    assert "is left to pay for it. Add credits." in refused.text
    assert reverse("billing:credits") in refused.text


def test_the_limits_of_the_plan_are_said_before_the_start(alice_client, acme, ready):
    for _ in range(5):
        Training.objects.create(
            tenant=acme, slug="x", name="X", status=Status.SUCCEEDED, started_at=timezone.now()
        )
    page = alice_client.get(address("cost", ready)).text
    assert re.search(r"reached your plan&#x27;s limit of trainings per month \(\d\)", page)
    assert "Start training" not in page


def test_the_watermark_is_said_before_the_start(alice_client, ready, settings):
    settings.WATERMARK_KEYS = {1: 7}
    page = alice_client.get(address("cost", ready)).text
    assert "carries an invisible watermark" in page
    assert reverse("website:settings") + "#id_is_watermarked" in page


def test_a_start_leads_to_its_progress_and_survives_a_reload(alice_client, ready):
    Training.objects.filter(pk=ready.pk).update(epoch_tokens=0)  # costs nothing
    assert alice_client.post(address("start", ready), {"rights": "on"})["Location"] == address(
        "progress", ready
    )
    assert "Waiting to start." in alice_client.get(address("progress", ready)).text
    assert alice_client.get(address("show", ready))["Location"] == address("progress", ready)
    assert alice_client.get(address("cost", ready))["Location"] == address("progress", ready)


def test_a_running_training_shows_share_time_left_and_both_losses(alice_client, training):
    move(training, Status.RUNNING, started_at=timezone.now(), steps=72, step=36, step_seconds=10.0)
    for step in (6, 12, 18):
        training.events.create(step=step, training_loss=4 - step / 20)
        training.events.create(step=step, validation_loss=4 - step / 30)
    page = alice_client.get(address("live", training)).text
    assert "50% trained, about 6 minutes left" in page
    assert page.count("<polyline") == 2
    assert "every 2s" in page
    alice_client.post(address("pause", training))
    assert "Pausing after the current step." in alice_client.get(address("live", training)).text


def test_a_start_beside_others_says_so_before_and_after_it(alice_client, ready, charlies):
    assert "Others are training at the moment" not in alice_client.get(address("cost", ready)).text
    facts = {"tenant": charlies, "slug": "x", "name": "X", "started_at": timezone.now()}
    Training.objects.create(status=Status.QUEUED, **facts)
    assert "Others are training at the moment" in alice_client.get(address("cost", ready)).text
    move(ready, Status.QUEUED, started_at=timezone.now())
    assert "1 training is ahead of yours." in alice_client.get(address("live", ready)).text


def test_a_training_with_fewer_passes_is_begun_by_a_link(alice_client, acme, base_model):
    page = alice_client.get(reverse("training:new") + "?epochs=1").text
    assert "This training makes one pass over your texts" in page
    alice_client.post(reverse("training:new"), {"name": "My voice", "slug": "my-voice", "epochs": "1"})
    assert Training.objects.get().epochs == 1
    assert "passes over your texts" not in alice_client.get(reverse("training:new") + "?epochs=9").text


def test_fewer_passes_stay_beside_a_name_that_is_refused(alice_client, base_model):
    refused = alice_client.post(reverse("training:new"), {"name": "", "slug": "", "epochs": "1"})
    assert refused.status_code == 400
    assert "This training makes one pass over your texts" in refused.text
    assert 'name="epochs" value="1"' in refused.text


@pytest.mark.parametrize("epochs", ["abc", "9", "-1", "²"])
def test_passes_that_no_link_has_are_refused_beside_their_field(alice_client, base_model, epochs):
    refused = alice_client.post(
        reverse("training:new"), {"name": "My voice", "slug": "my-voice", "epochs": epochs}
    )
    assert refused.status_code == 400
    assert 'id="id_epochs_error"' in refused.text
    assert "over your texts, so it repeats them less" not in refused.text
    assert not Training.objects.exists()


def test_the_chart_is_said_in_words_once_it_ended(alice_client, training):
    for step, loss in ((0, 4.0), (10, 3.6), (20, 3.4), (30, 3.5)):
        training.events.create(step=step, validation_loss=loss)
    move(training, Status.RUNNING, started_at=timezone.now(), steps=40, step=30)
    assert "stopped improving" not in alice_client.get(address("progress", training)).text
    move(training, Status.SUCCEEDED, ended_at=timezone.now())
    page = alice_client.get(address("progress", training)).text
    assert "It stopped improving at step 20; we kept the best." in page


def test_the_time_left_is_said_in_words():
    assert describe_left(20) == "less than a minute left"
    assert describe_left(61) == "about 1 minute left"
    assert describe_left(301) == "about 5 minutes left"
    assert describe_left(7_500) == "about 2 h 5 min left"


def test_a_failure_says_what_happened_and_what_was_not_charged(alice_client, training, monkeypatch):
    ended = {"started_at": timezone.now(), "ended_at": timezone.now()}
    move(training, Status.FAILED, failure=TrainingFailure.CRASHED(times=5), **ended)
    page = alice_client.get(address("progress", training)).text
    assert "The training stopped 5 times in a row." in page
    assert "t charged." in page
    assert "every 2s" not in page
    monkeypatch.setattr("training.views.progress.charge_of", lambda training_id: 40_000_000)
    assert "You were charged $0.04" in alice_client.get(address("progress", training)).text
    assert charges.charge_of(training.pk) is None


def test_a_success_leads_to_going_live(alice_client, acme, training, engine):
    version = known(acme, "my-voice", engine, auto_promote=False)
    Style.objects.filter(pk=version.style_id).update(live_version=None)
    facts = {"version": version, "style": version.style, "started_at": timezone.now()}
    move(training, Status.SUCCEEDED, ended_at=timezone.now(), **facts)
    page = alice_client.get(address("progress", training)).text
    assert reverse("adapters:promote", args=[version.pk]) in page
    style = alice_client.post(reverse("adapters:promote", args=[version.pk]))["Location"]
    assert "/styles/acme/my-voice/" in style
    assert "Your style is live." in alice_client.get(address("progress", training)).text


def test_texts_and_trainings_are_deleted_on_request(alice_client, ready):
    move(ready, Status.SUCCEEDED, ended_at=timezone.now() - timedelta(days=1))
    assert "Your texts are deleted on" in alice_client.get(address("progress", ready)).text
    alice_client.post(address("delete_texts", ready))
    assert not ready.documents.exists()
    assert "The texts were deleted on" in alice_client.get(address("progress", ready)).text
    assert alice_client.get(address("review", ready)).context["passages"] is None
    assert alice_client.post(address("delete", ready))["Location"] == reverse("training:list")
    assert not Training.objects.exists()


def test_writers_read_no_jargon_unless_they_open_the_details(alice_client, ready):
    read = [alice_client.get(reverse("training:list"))]
    for status in (Status.READY, Status.RUNNING, Status.FAILED):
        move(ready, status, started_at=timezone.now())
        read += [alice_client.get(address(page, ready)) for page in PAGES]
    for page in read:
        main = DETAILS.sub("", page.text.partition("<main")[2].partition("</main>")[0])
        words = re.sub(r"<[^>]*>", " ", main)
        assert not JARGON.search(words), JARGON.search(words)


def test_a_service_that_trains_nothing_does_not_mention_it(client, alice_client, training, settings):
    settings.TRAINING = False
    for name in ("list", "new"):
        assert alice_client.get(reverse(f"training:{name}")).status_code == 404
        assert client.get(reverse(f"training:{name}")).status_code == 404
    for name in ("texts", "documents", "progress"):
        assert alice_client.get(address(name, training)).status_code == 404
    assert alice_client.post(address("add_sample", training)).status_code == 404
    visited = [client.get(reverse("home"))]
    for name in ("member_home", "welcome", "adapters:catalogue", "adapters:upload"):
        visited.append(alice_client.get(reverse(name)))
    for page in visited:
        assert "/trainings/" not in page.text
        assert "from your writing" not in page.text


def test_a_mail_comes_at_the_end(training, engine):
    move(training, Status.FAILED, failure=TrainingFailure.OUT_OF_MEMORY())
    record_event(training.tenant_id, EventType.TRAINING_FAILED, training)
    sending.send_due()
    [sent] = mail.outbox
    assert sent.to == ["alice@example.org"]
    assert sent.subject.endswith("The training of My voice failed")
    assert "more memory than our worker has" in sent.body
    assert address("progress", training) in sent.body


def test_the_list_shows_what_is_in_progress_and_of_this_workspace_alone(alice_client, charlies, training):
    Training.objects.create(tenant=charlies, slug="theirs", name="Theirs")
    move(training, Status.RUNNING, steps=10, step=3, started_at=timezone.now())
    page = alice_client.get(reverse("training:list")).text
    assert "1 training is in progress." in page
    assert "30%" in page
    assert "Theirs" not in page
