"""`train`: texts are sent, the estimate is asked about, and the training is followed to its end."""

import pytest

from adapters.models import AdapterVersion
from polyscribe import TextsRefused, TrainingFailed, TrainingObserver
from tests.cli.conftest import Terminal
from tests.training.builders import make_text
from training.models import Document, Training
from training.runs.runner import run_next

pytestmark = pytest.mark.usefixtures("trains")


@pytest.fixture
def by_hand(monkeypatch):
    """No training runs until the test lets it."""
    monkeypatch.setattr("training.tasks.runner.run_next", lambda: False)


def test_texts_become_a_style(logged_in, chapters):
    done = logged_in("train", "my-voice", *chapters, "--yes")
    assert done.code == 0, done.err
    assert "acme/my-voice@1 is ready" in done.out
    assert "8,000 words. Costs at most $" in done.err
    assert AdapterVersion.objects.get().style.name == "My voice"
    training = Training.objects.get()
    assert training.rights_stated_at
    assert not training.keeps_documents
    assert {document.name for document in Document.objects.all()} == {"chapter-1.txt", "chapter-2.txt"}


def test_a_piped_text_is_learned_and_kept_where_that_is_said(logged_in, service):
    text = make_text(4000)
    done = logged_in("train", "my-voice", "--text", "-", "--yes", "--keep-documents", "--json", stdin=text)
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["model"]) == ("succeeded", "acme/my-voice@1")
    assert Training.objects.get().keeps_documents
    assert service.puts == []


def test_who_does_not_agree_pays_nothing_and_leaves_nothing(logged_in, chapters, monkeypatch):
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)
    done = logged_in("train", "my-voice", *chapters[:1], stdin="n\n")
    assert done.code == 1
    assert "you have the right to train on them" in done.err
    assert "Nothing was started or charged" in done.err
    assert not Training.objects.exists()


def test_without_a_terminal_consent_is_needed_before_anything_is_sent(logged_in, service, chapters):
    done = logged_in("train", "my-voice", *chapters[:1])
    assert done.code == 2
    assert "--yes" in done.err
    assert service.requests == []


def test_no_wait_only_starts_and_another_command_follows(logged_in, chapters, by_hand, service):
    started = logged_in("train", "my-voice", *chapters[:1], "--yes", "--no-wait")
    training = Training.objects.get()
    assert started.code == 0
    assert f"polyscribe train --follow {training.pk}" in started.out
    service.happens.append(run_next)
    done = logged_in("train", "--follow", training.pk)
    assert done.code == 0, done.err
    assert "acme/my-voice@1 is ready" in done.out
    assert "Waiting for a training worker" in done.err


def test_ctrl_c_leaves_the_training_running_and_says_how_to_follow_it(logged_in, chapters, by_hand, service):
    service.is_interrupted_at_the_end = True
    done = logged_in("train", "my-voice", *chapters[:1], "--yes")
    training = Training.objects.get()
    assert done.code == 130
    assert f"polyscribe train --follow {training.pk}" in done.err
    assert training.status == "queued"


def test_a_failed_training_exits_with_1_and_its_reason(logged_in, chapters, trainer, client):
    trainer(fails_at=2, code="diverged")
    done = logged_in("train", "my-voice", *chapters[:1], "--yes", "--json")
    assert done.code == 1
    assert done.json["error"]["kind"] == "TrainingFailed"
    assert "didn't converge" in done.json["error"]["detail"]
    with pytest.raises(TrainingFailed):
        client.trainer.follow(str(Training.objects.get().pk), TrainingObserver())


def test_too_little_text_is_refused_with_its_number(client, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("Only a few words of mine.")
    with pytest.raises(TextsRefused, match="a style needs at least"):
        client.train("my-voice", [note], rights=True)


def test_a_paused_training_ends_following_with_5(logged_in, chapters, by_hand, client):
    logged_in("train", "my-voice", *chapters[:1], "--yes", "--no-wait")
    training = Training.objects.get()
    client.post(f"/trainings/{training.pk}/pause")
    done = logged_in("train", "--follow", training.pk)
    assert done.code == 5
    assert "paused" in done.err
