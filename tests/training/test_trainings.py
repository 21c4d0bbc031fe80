"""From texts to a version, with a trainer that trains nothing: what the rows say, and what is charged."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from adapters.models import AdapterVersion
from adapters.models import Status as VersionStatus
from adapters.models.notes import UploadNote
from adapters.uploads import pipeline as upload_pipeline
from core.messages import Message
from core.money import NANO
from metering.credits import grant_credit
from metering.models import LedgerEntry, TrainingHold
from tenants.access import access_of_person
from tests.training.builders import list_stored, make_text, read_all
from training import actions, erasure, pipeline, preparation, results, starting, storage
from training.corpus.canaries import CANARIES
from training.errors import NoDocuments, RightsNotStated, TrainingMoved
from training.models import Document, Status, Training
from training.notes import TrainingFailure
from training.runs import runner

pytestmark = pytest.mark.django_db


def charges(training: Training) -> list[int]:
    """Return the tokens of a training's ledger entries."""
    entries = LedgerEntry.objects.filter(kind="training", source_id=str(training.pk))
    return list(entries.values_list("tokens", flat=True))


def open_holds(training: Training) -> int:
    return TrainingHold.objects.filter(training=training.pk, settled_at=None).count()


def finish(training: Training) -> None:
    """Take the steps after the run: the version is checked as an upload is."""
    pipeline.advance_training(training)
    training.refresh_from_db()
    upload_pipeline.advance_version(training.version)
    pipeline.advance_training(training)
    training.refresh_from_db()


def test_texts_become_a_candidate_version_and_are_charged_once(access, queued, trainer):
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.FINISHING
    finish(queued)
    assert queued.status == Status.SUCCEEDED
    version = AdapterVersion.objects.get()
    assert version == queued.version
    assert version.status != VersionStatus.REJECTED
    assert not version.auto_promote
    assert version.provenance["corpus_sha256"] == queued.corpus_sha256
    assert version.provenance["rights_stated_by"] == "alice@example.org"
    assert charges(queued) == [queued.trained_tokens]
    assert queued.trained_tokens <= queued.most_tokens
    assert not open_holds(queued)
    finish(queued)
    assert AdapterVersion.objects.count() == 1
    assert charges(queued) == [queued.trained_tokens]


def test_a_new_style_has_a_prompt_for_its_sample_in_the_language_of_its_texts(access, ready):
    grant_credit(ready.tenant, 5 * NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    ready.report["languages"] = [["de", 8000]]
    ready.save(update_fields=["report"])
    actions.start_training(access, ready, states_rights=True)
    assert ready.style.sample_prompt == "Beschreibe einen Morgen in der Stadt."


def test_the_statement_of_rights_is_of_who_started_not_of_who_created(acme, bob, ready):
    grant_credit(acme, 5 * NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    actions.start_training(access_of_person(bob, acme, address=None), ready, states_rights=True)
    ready.refresh_from_db()
    assert ready.created_by != bob
    assert results.provenance_of(ready)["rights_stated_by"] == "bob@example.org"


def test_a_training_has_succeeded_once_its_version_can_be_called(queued, trainer):
    assert runner.run_next()
    pipeline.advance_training(queued)
    for status, note, reached in [
        (VersionStatus.VALID, Message(), Status.FINISHING),
        (VersionStatus.PUSHING, Message(), Status.FINISHING),
        (VersionStatus.PUSHING, UploadNote.NO_ENGINE(), Status.SUCCEEDED),
        (VersionStatus.SERVING, Message(), Status.SUCCEEDED),
        (VersionStatus.FAILED, Message(), Status.SUCCEEDED),
    ]:
        Training.objects.update(status=Status.FINISHING, ended_at=None)
        queued.refresh_from_db()
        AdapterVersion.objects.update(status=status, note=note)
        pipeline.advance_training(queued)
        assert queued.status == reached, (status, note)


def test_what_was_read_and_understood_is_there_before_anything_is_paid(ready):
    assert ready.status == Status.READY
    assert [document.words for document in ready.documents.learned()] == [4000, 4000]
    assert ready.report["words"] == 8000
    assert ready.examples
    assert ready.validation_examples
    assert ready.most_tokens == 2 * ready.epoch_tokens > 0
    assert ready.estimated_s > 0
    passages = preparation.list_passages(ready)
    instructions = ready.examples - len(passages)
    assert len(passages) // 10 <= instructions <= len(passages) // 5
    assert all(passage["prompt"] and passage["text"] for passage in passages)
    assert not TrainingHold.objects.exists()


def test_passages_are_shown_as_they_are_learned_with_other_names(access, base_model, valkey, reads_here):
    training = actions.create_training(access, slug="my-voice", name="My voice")
    story = "Then Marian sang, and Marian rowed. " * 20
    english = make_text(3000).replace(" ", " the ")
    actions.add_text(access, training, "a.txt", f"{story}{english}")
    read_all()
    actions.prepare_training(access, training)
    pipeline.advance_training(training)
    learned = storage.read_file(training.pk, storage.LEARN)
    shown = " ".join(passage["text"] for passage in preparation.list_passages(training))
    assert "Marian" not in shown
    assert "rowed. Then" in shown
    assert b"Marian" not in learned
    assert b"rowed. Then" in learned


def test_figures_of_documents_and_of_their_corpus_agree(access, base_model, valkey, reads_here):
    training = actions.create_training(access, slug="my-voice", name="My voice")
    actions.add_text(access, training, "spoken.txt", f"“{make_text(60, 1)}”\n\n{make_text(3540, 2)}")
    actions.add_text(access, training, "neko.txt", "吾輩は猫である。\n\n「名前はまだ無い。」\n\n" * 100)
    read_all()
    spoken, neko = training.documents.order_by("name").reverse()
    assert (spoken.words, neko.words) == (3600, 1400)
    assert (spoken.quotation_share, neko.quotation_share) == (0.017, 0.5)
    actions.prepare_training(access, training)
    pipeline.advance_training(training)
    training.refresh_from_db()
    assert training.report["words"] == 5000
    assert training.report["quotation_share"] == 0.152


def test_a_training_that_can_not_start_says_why(access, draft):
    empty = actions.create_training(access, slug="empty", name="Empty")
    with pytest.raises(NoDocuments):
        actions.prepare_training(access, empty)
    with pytest.raises(RightsNotStated):
        actions.start_training(access, draft, states_rights=False)
    with pytest.raises(TrainingMoved):
        actions.start_training(access, draft, states_rights=True)


def test_too_few_words_are_said_with_their_number(access, base_model, valkey, reads_here):
    training = actions.create_training(access, slug="short", name="Short")
    actions.add_text(access, training, "note.txt", "Only a few words of mine.")
    read_all()
    actions.prepare_training(access, training)
    pipeline.advance_training(training)
    training.refresh_from_db()
    assert training.status == Status.DRAFT
    assert "6 words" in str(training.note)


def test_left_out_documents_and_passages_are_not_learned(access, ready):
    document = ready.documents.learned().first()
    passage = preparation.list_passages(ready)[0]
    actions.leave_out_passages(access, ready, [passage["id"]])
    pipeline.advance_training(ready)
    ready.refresh_from_db()
    assert passage["id"] not in {row["id"] for row in preparation.list_passages(ready)}
    actions.leave_out_document(access, document, is_left_out=True)
    ready.refresh_from_db()
    assert ready.status == Status.DRAFT
    actions.prepare_training(access, ready)
    pipeline.advance_training(ready)
    ready.refresh_from_db()
    assert ready.report["documents"] == 1


@pytest.mark.parametrize("dies_at", [1, 5, 7])
def test_a_killed_child_goes_on_from_its_checkpoint_with_the_same_losses(queued, trainer, dies_at):
    trainer(dies_at=dies_at)
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.RUNNING
    trainer()
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.FINISHING
    losses = queued.events.exclude(training_loss=None).values_list("step", "training_loss")
    assert dict(losses) == {step: 4 / step for step in range(1, 9)}
    assert len(losses) == 8
    validation = queued.events.exclude(validation_loss=None).values_list("step", "validation_loss")
    assert list(validation) == [(0, 5.0), (4, 5 / 4), (8, 5 / 8)]
    assert queued.trained_tokens == 2 * (queued.examples + CANARIES) * 100


def test_the_pace_that_promises_the_end_counts_validations(queued, trainer):
    trainer(validation_s=0.6)  # after steps 4 and 8; the fake says that a step takes 0.1 s
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.step_seconds > 0.6 / 7


def test_the_time_left_follows_the_last_steps_and_estimates_the_whole_run(monkeypatch):
    """A machine that others begin to use: the time left must say so at once."""
    clock = iter([*range(0, 100), *range(100, 500, 10)])
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    progress = runner.Progress()
    paces = [runner._measure_pace(progress, {"step": step, "seconds": 1.0}) for step in range(1, 141)]
    assert paces[98] == 1
    assert paces[-1] == 10
    assert runner._mean_pace(progress) == pytest.approx(490 / 139)


def test_those_ahead_are_counted(queued, charlies):
    now = timezone.now()
    assert runner.count_ahead(queued, now) == 0
    facts = {"tenant": charlies, "slug": "x", "name": "X", "started_at": now - timedelta(hours=1)}
    Training.objects.create(status=Status.RUNNING, leased_until=now + timedelta(minutes=1), **facts)
    Training.objects.create(status=Status.RUNNING, **facts)  # its worker was killed
    assert runner.count_ahead(queued, now) == 2


def test_a_child_that_always_dies_fails_the_training_and_only_completed_steps_are_charged(queued, trainer):
    trainer(dies_at=3)
    while runner.run_next():
        pass
    queued.refresh_from_db()
    assert queued.status == Status.FAILED
    assert queued.failure == TrainingFailure.CRASHED(times=runner.MAX_ATTEMPTS)
    assert charges(queued) == [2 * (queued.examples + CANARIES) * 25]
    assert not open_holds(queued)


def test_only_what_led_to_the_kept_state_is_charged(access, queued, trainer):
    trainer(kept_at=4)
    assert runner.run_next()
    queued.refresh_from_db()
    finish(queued)
    assert queued.step == 8
    assert charges(queued) == [queued.trained_tokens] == [(queued.examples + CANARIES) * 100]
    assert not open_holds(queued)


@pytest.mark.parametrize(
    ("code", "failure"),
    [("diverged", TrainingFailure.DIVERGED), ("out_of_memory", TrainingFailure.OUT_OF_MEMORY)],
)
def test_what_can_not_succeed_is_not_tried_again(queued, trainer, code, failure):
    trainer(fails_at=2, code=code)
    assert runner.run_next()
    queued.refresh_from_db()
    assert (queued.status, queued.failure) == (Status.FAILED, failure())
    assert not runner.run_next()


def test_a_pause_keeps_what_was_trained(access, queued, trainer):
    actions.pause_training(access, queued)
    queued.refresh_from_db()
    assert queued.status == Status.PAUSED
    assert not runner.run_next()
    actions.resume_training(access, queued)
    Training.objects.filter(pk=queued.pk).update(stop_request="")
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.FINISHING


def test_a_pause_and_a_cancel_act_between_two_steps(access, queued, trainer, monkeypatch):
    trainer(waits_from=2)  # until it is asked to stop
    Training.objects.filter(pk=queued.pk).update(stop_request="pause")
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.PAUSED
    assert 0 < queued.step < queued.steps
    paused_at = queued.step
    actions.resume_training(access, queued)
    Training.objects.filter(pk=queued.pk).update(stop_request="cancel")
    assert runner.run_next()
    queued.refresh_from_db()
    assert queued.status == Status.CANCELLED
    assert queued.step >= paused_at
    assert charges(queued) == [queued.trained_tokens]
    assert 0 < queued.trained_tokens < queued.most_tokens


def test_a_cancelled_draft_costs_nothing_and_can_be_deleted(access, ready):
    actions.cancel_training(access, ready)
    ready.refresh_from_db()
    assert ready.status == Status.CANCELLED
    assert not charges(ready)
    actions.delete_training(access, ready)
    assert not list_stored(ready.pk)
    assert not Training.objects.exists()


def test_texts_are_erased_with_all_that_was_made_of_them(access, queued, trainer):
    runner.run_next()
    queued.refresh_from_db()
    with pytest.raises(TrainingMoved):
        erasure.erase_documents(queued)
    finish(queued)
    assert list_stored(queued.pk)
    actions.erase_documents(access, queued)
    queued.refresh_from_db()
    assert queued.documents_gone_at
    assert not list_stored(queued.pk)
    assert not Document.objects.exists()
    assert queued.version.files_gone_at is None


def test_a_result_that_is_no_adapter_fails_and_is_not_charged(queued, trainer, tmp_path):
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"none")
    runner.run_next()
    queued.refresh_from_db()
    finish(queued)
    assert queued.status == Status.FAILED
    assert str(queued.failure)
    assert not charges(queued)
    assert not open_holds(queued)


def test_a_cancel_before_the_hold_leaves_nothing_held(access, queued):
    """Another process cancels between the queue and the hold."""
    actions.cancel_training(access, queued)
    TrainingHold.objects.all().delete()
    starting.hold_price(queued)
    assert not open_holds(queued)
