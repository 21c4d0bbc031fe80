"""A check of a version: from texts to figures, what follows for sharing, and what goes with the texts."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import object_store
from adapters.errors import VersionNotShareable
from adapters.evidence import Figures, Rewrites, UnsupportedLanguage
from adapters.models import AdapterVersion, Erasure, Evaluation, EvaluationFailure, EvaluationStatus
from adapters.releases import review
from events.models import OutboxEvent
from tenants.access import Access
from tenants.models import AuditEntry
from tests.adapters.builders import known
from tests.tenants.builders import issue_key
from tests.training.builders import make_text, read_all
from training import actions, erasure, evaluations, pipeline, preparation, storage
from training.errors import NothingToTrain, TrainingMoved
from training.models import Status, Training
from training.results import FILES
from training.runs import evaluator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


class EchoingModels:
    """Answers with the prompt, and writes drafts that turn the words of a text round."""

    def answer(
        self, prompts: Sequence[str], *, max_tokens: int, sampling: Mapping[str, float] | None = None
    ) -> tuple[list[str], list[str]]:
        return [f"Base: {prompt}" for prompt in prompts], [f"Style: {prompt}" for prompt in prompts]

    def write_drafts(self, prompts: Sequence[str], *, max_tokens: int) -> list[str]:
        return [" ".join(reversed(prompt.partition("\n\n")[2].split())) for prompt in prompts]


@pytest.fixture
def version(acme, engine) -> AdapterVersion:
    uploaded = known(acme, "my-voice", engine)
    for file in FILES:
        object_store.write(uploaded.pk, file, [b"{}"])
    return uploaded


@pytest.fixture
def bare_check(access: Access, version: AdapterVersion) -> Training:
    """A check of the version without a text."""
    return actions.create_evaluation(access, version)


@pytest.fixture
def check(access: Access, bare_check: Training, reads_here) -> Training:
    """A check that can be started."""
    draft = bare_check
    actions.add_text(access, draft, "chapters.txt", make_text(4000))
    read_all()
    actions.prepare_training(access, draft)
    pipeline.advance_training(draft)
    draft.refresh_from_db()
    return draft


@pytest.fixture
def measures(settings, monkeypatch) -> None:
    """Let a fake measure, and an engine answer; no verifier knows the language."""
    settings.TRAINING_PYTHON = sys.executable
    settings.TRAINING_EVIDENCE_PROGRAM = str(Path(__file__).parent / "fake_evidence.py")
    monkeypatch.setattr(evaluator, "is_loaded", lambda version: True)
    monkeypatch.setattr(evaluator, "find_models", lambda version: EchoingModels())

    def refuse(texts: object, language: str, *, documents: object) -> None:
        raise UnsupportedLanguage(language)

    monkeypatch.setattr(evaluator, "train_verifier", refuse)


def test_a_check_reads_the_names_that_a_version_may_have_learned(access, bare_check, reads_here):
    english = make_text(3000).replace(" ", " the ")
    actions.add_text(access, bare_check, "a.txt", f"{'Then Marian sang, and Marian rowed. ' * 20}{english}")
    read_all()
    actions.prepare_training(access, bare_check)
    pipeline.advance_training(bare_check)
    texts = evaluations.read_texts(bare_check)
    assert "Marian" in " ".join(texts.learned)
    assert b"Marian" in texts.files[storage.LEARN]


def test_a_line_separator_within_a_text_ends_no_conversation(bare_check):
    row = {"messages": [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "a\u2028b"}]}
    line = json.dumps(row, ensure_ascii=False).encode()
    for name in (storage.LEARN, storage.VALIDATE, storage.BRIEFS):
        storage.write_file(bare_check.pk, name, line)
    texts = evaluations.read_texts(bare_check)
    assert (texts.learned, texts.documents) == (("a\u2028b",), (0,))


def test_passages_are_judged_in_the_order_of_their_documents(access, bare_check, reads_here):
    """Examples are shuffled: neighbours that are left out apart make the author's own texts look too near."""
    for number in range(2):
        actions.add_text(access, bare_check, f"book{number}.txt", make_text(4000, seed=number))
    read_all()
    actions.prepare_training(access, bare_check)
    pipeline.advance_training(bare_check)
    texts = evaluations.read_texts(bare_check)
    assert list(texts.documents) == sorted(texts.documents)
    assert set(texts.documents) == {0, 1}
    corpus = preparation.read_corpus(bare_check)
    assert texts.learned == tuple(passage.text for passage in corpus.learned)


def test_texts_check_a_version_and_what_it_repeats_keeps_it_from_others(
    access, alice_client, check, version, measures
):
    assert check.status == Status.READY
    page = alice_client.get(reverse("training:check", args=[check.pk])).text
    assert "check version 1 of My-Voice" in page
    answer = alice_client.post(reverse("training:evaluate", args=[check.pk]))
    progress = reverse("training:progress", args=[check.pk])
    assert answer["Location"] == progress
    assert "every 2s" in alice_client.get(progress).text
    assert evaluator.run_next()
    evaluation = version.evaluations.get()
    assert evaluation.status == EvaluationStatus.SUCCEEDED
    assert evaluation.samples[0]["style"].startswith("Style: ")
    assert len(evaluation.passages) == 1
    rewrites = Figures.read(evaluation.figures).rewrites
    assert rewrites == Rewrites(drafts=5, kept=1.0, base_kept=1.0)
    page = alice_client.get(progress).text
    assert "every 2s" not in page
    assert evaluation.passages[0] in page
    version.refresh_from_db()
    with pytest.raises(VersionNotShareable, match="word for word"):
        review.require_shareable(version)
    [event] = OutboxEvent.objects.filter(type__startswith="evaluation.")
    assert event.type == "evaluation.succeeded"
    assert event.object["model"] == "acme/my-voice@1"
    assert event.object["figures"]["repeats"]["percent"] == 100
    assert event.object["samples"] is None
    assert {"evaluation.created", "evaluation.requested"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


def test_the_page_says_how_many_checks_are_ahead(access, alice_client, check, version):
    Evaluation.objects.create(version=version)
    actions.request_evaluation(access, check)
    progress = reverse("training:progress", args=[check.pk])
    assert "1 check is ahead of this one." in alice_client.get(progress).text
    Evaluation.objects.order_by("created_at").first().delete()
    assert "ahead of this one" not in alice_client.get(progress).text


def test_a_check_is_never_trained_or_renamed(access, alice_client, check):
    with pytest.raises(NothingToTrain):
        actions.start_training(access, check, states_rights=True)
    with pytest.raises(NothingToTrain):
        actions.rename_training(access, check, slug="other", name="Other")
    for name in ("cost", "start"):
        method = alice_client.post if name == "start" else alice_client.get
        answer = method(reverse(f"training:{name}", args=[check.pk]))
        assert answer["Location"] == reverse("training:check", args=[check.pk])
    check.refresh_from_db()
    assert check.status == Status.READY
    assert not AuditEntry.objects.filter(action="training.started").exists()


def test_a_training_is_no_check(access, acme):
    training = Training.objects.create(tenant=acme, slug="my-voice", name="My voice", status=Status.READY)
    with pytest.raises(TrainingMoved):
        actions.request_evaluation(access, training)


def test_lists_say_what_is_a_check(alice_client, access, check):
    listed = reverse("training:list")
    assert "check of version 1" in alice_client.get(listed).text
    actions.request_evaluation(access, check)
    page = alice_client.get(listed)
    assert page.context["started"] == [check]
    assert "Checking" in page.text


def test_a_failed_check_says_why_and_tells_programs(access, alice_client, check, version, measures):
    actions.request_evaluation(access, check)
    erasure.erase_documents(Training.objects.get(pk=check.pk))
    assert evaluator.run_next()
    assert "texts were deleted before" in alice_client.get(reverse("training:progress", args=[check.pk])).text
    assert OutboxEvent.objects.get(type__startswith="evaluation.").type == "evaluation.failed"


def test_a_check_waits_a_day_for_an_engine(access, check, version, measures, monkeypatch):
    monkeypatch.setattr(evaluator, "is_loaded", lambda version: False)
    actions.request_evaluation(access, check)
    assert evaluator.run_next()
    evaluation = version.evaluations.get()
    assert evaluation.is_open
    yesterday = timezone.now() - timedelta(days=1, minutes=1)
    version.evaluations.update(created_at=yesterday, leased_until=None)
    assert evaluator.run_next()
    evaluation.refresh_from_db()
    assert evaluation.failure == EvaluationFailure.TIMED_OUT()


def test_with_the_texts_go_the_samples_of_every_check_with_them(access, check, version, measures):
    for _ in range(2):
        actions.request_evaluation(access, Training.objects.get(pk=check.pk))
        assert evaluator.run_next()
    assert all(evaluation.samples for evaluation in version.evaluations.all())
    erasure.erase_documents(Training.objects.get(pk=check.pk))
    assert version.evaluations.count() == 2
    for evaluation in version.evaluations.all():
        assert (evaluation.samples, evaluation.passages) == ([], [])
        assert evaluation.figures


def test_the_texts_of_a_check_go_with_the_version(bare_check, version):
    assert bare_check not in erasure.to_erase()
    Erasure.objects.create(version=version)
    assert bare_check in erasure.to_erase()


def test_programs_check_a_version(client, acme, check, version, measures):
    _, secret = issue_key(acme, name="all", by=None, scopes=["styles:read", "styles:write"])
    headers = {"Authorization": f"Bearer {secret}"}

    def call(method: str, name: str, body: object = None, **arguments: object):
        address = reverse(f"api:{name}", kwargs=arguments)
        return getattr(client, method)(address, body, content_type="application/json", headers=headers)

    made = call("post", "trainings.create_evaluation", {"style": "my-voice", "version": 1})
    assert made.status_code == 201, made.content
    assert made.json()["evaluates"] == "acme/my-voice@1"
    assert call("post", "trainings.create_evaluation", {"style": "my-voice", "version": 9}).status_code == 404
    missing = call("get", "trainings.evaluation", training_id=check.pk)
    assert (missing.status_code, missing.json()["code"]) == (404, "no_evaluation")
    refused = call("post", "trainings.start", {"rights": True}, training_id=check.pk)
    assert refused.json()["code"] == "nothing_to_train"
    assert call("post", "trainings.evaluation", training_id=check.pk).json()["status"] == "queued"
    assert evaluator.run_next()
    evaluation = call("get", "trainings.evaluation", training_id=check.pk).json()
    assert evaluation["figures"]["repeats"]["percent"] == 100
    assert "word for word" in evaluation["share_refusal"]
    assert len(evaluation["passages"]) == 1
    shown = call("get", "versions.delete", style="my-voice", number=1).json()
    assert shown["share_refusal"] == evaluation["share_refusal"]


def test_of_a_conversation_the_last_learned_answer_is_judged_and_what_it_answers(bare_check):
    system = {"role": "system", "content": "Write as I do."}
    rows = [
        [system, {"role": "assistant", "content": "Without a request."}],
        [
            system,
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "It rained.", "weight": 1},
            {"role": "user", "content": "Thank you."},
            {"role": "assistant", "content": "Not learned.", "weight": 0},
        ],
    ]
    lines = b"".join(json.dumps({"messages": messages}).encode() + b"\n" for messages in rows)
    for name in (storage.LEARN, storage.VALIDATE):
        storage.write_file(bare_check.pk, name, lines)
    briefs = evaluations.read_texts(bare_check).briefs
    assert [(brief.prompt, brief.passage) for brief in briefs] == [
        ("Write as I do.", "Without a request."),
        ("Go on.", "It rained."),
    ]
