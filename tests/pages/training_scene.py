"""Trainings in each state that one may have, for walks through their pages."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from adapters.models import (
    AdapterVersion,
    Engine,
    Evaluation,
    EvaluationFailure,
    EvaluationNote,
    EvaluationStatus,
    Style,
)
from adapters.models import Status as VersionStatus
from core.messages import NO_MESSAGE
from tenants.access import access_of_person
from tenants.models import Tenant, User
from tests.adapters.builders import known
from tests.adapters.evidence.cases import LOW, lay_evaluation
from tests.training.builders import read_all
from training import actions, preparation
from training.models import Document, Status, Training
from training.notes import DocumentFault, TrainingFailure, TrainingNote
from training.views.texts import SAMPLE

LONG_NAME = "Kapitel-12-Donaudampfschifffahrtsgesellschaftskapitänswitwe-endgültige-Fassung.docx"


def lay_trainings(acme: Tenant, alice: User, engine: Engine) -> list[str]:
    """Lay trainings of Acme in each state; return the addresses that show them."""
    addresses = [reverse("training:list"), reverse("training:new")]
    empty = _begin(acme, alice, "My voice")
    addresses += _pages(empty, "texts")
    ready = lay_ready_training(acme, alice)
    addresses += _pages(ready, "texts", "review", "cost")
    addresses += _pages(_with_documents(acme, alice), "texts")
    preparing = _begin(acme, alice, "Letters", status=Status.PREPARING)
    addresses += _pages(preparing, "review")
    for status in (Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.FINISHING):
        addresses += _pages(_started(acme, alice, status), "progress")
    failed = _started(acme, alice, Status.FAILED, failure=TrainingFailure.CRASHED(times=5))
    cancelled = _started(acme, alice, Status.CANCELLED)
    addresses += _pages(failed, "progress") + _pages(cancelled, "progress")
    candidate = known(acme, "candidate", engine, auto_promote=False)
    Style.objects.filter(pk=candidate.style_id).update(live_version=None)
    addresses += _pages(_succeeded(acme, alice, candidate), "progress")
    live = known(acme, "lived-in", engine)
    Style.objects.filter(pk=live.style_id).update(live_version=live)
    addresses += _pages(_succeeded(acme, alice, live), "progress")
    addresses += lay_evidence(acme, alice, engine)
    loading = known(acme, "arriving", engine, status=VersionStatus.PUSHING)
    return addresses + _pages(_succeeded(acme, alice, loading), "progress")


def lay_evidence(acme: Tenant, alice: User, engine: Engine) -> list[str]:
    """Lay evaluations in each state, of trained and uploaded versions; return their pages' addresses."""
    good = known(acme, "evident", engine)
    trained = _succeeded(acme, alice, good)
    _evaluate_with(trained, lay_evaluation(good, verifier=b"x"))
    low = known(acme, "parrot", engine)
    lay_evaluation(low, LOW)
    open_ones = []
    for note, percent in ((NO_MESSAGE, 0), (EvaluationNote.MEASURING(), 31), (EvaluationNote.WRITING(), 60)):
        version = known(acme, f"checked-at-{percent}", engine)
        check = _begin(acme, alice, "Checked", status=Status.SUCCEEDED, evaluated_version=version)
        Training.objects.filter(pk=check.pk).update(ended_at=timezone.now())
        running = version.evaluations.create(status=EvaluationStatus.RUNNING, note=note, percent=percent)
        _evaluate_with(check, running)
        open_ones.append(check)
    failed = known(acme, "unlucky", engine)
    lay_evaluation(failed)
    crashed = EvaluationFailure.CRASHED(times=3)
    failed.evaluations.create(status=EvaluationStatus.FAILED, failure=crashed, ended_at=timezone.now())
    ready = lay_ready_training(acme, alice)
    Training.objects.filter(pk=ready.pk).update(evaluated_version=low)
    draft = _begin(acme, alice, "Draft check", evaluated_version=low)
    addresses = _pages(trained, "progress") + _pages(ready, "review", "check") + _pages(draft, "texts")
    for check in open_ones:
        addresses += _pages(check, "progress")
    for slug in ("evident", "parrot", "checked-at-31", "unlucky"):
        addresses.append(reverse("adapters:style", args=["acme", slug]))
    addresses += [reverse(f"adapters:{name}", args=["acme", "evident"]) for name in ("guess", "check_draft")]
    addresses += [reverse("adapters:style_sharing", args=["acme", "parrot"])]
    return [*addresses, reverse("adapters:check_draft", args=["acme", "parrot"])]


def _evaluate_with(training: Training, evaluation: Evaluation) -> None:
    Training.objects.filter(pk=training.pk).update(evaluation=evaluation)


def lay_ready_training(acme: Tenant, alice: User) -> Training:
    """Lay a training whose texts are read and whose examples are made."""
    training = _begin(acme, alice, "Ferryman")
    access = access_of_person(alice, acme, address=None)
    actions.add_file(access, training, SAMPLE.name, SAMPLE.read_bytes())
    read_all()
    actions.prepare_training(access, training)
    preparation.prepare(training)
    return training


def _begin(acme: Tenant, alice: User, name: str, **facts: object) -> Training:
    slug = name.lower().replace(" ", "-")
    return Training.objects.create(tenant=acme, created_by=alice, name=name, slug=slug, **facts)


def _pages(training: Training, *steps: str) -> list[str]:
    return [reverse(f"training:{step}", args=[training.pk]) for step in steps]


def _with_documents(acme: Tenant, alice: User) -> Training:
    note = TrainingNote.TOO_SHORT(words=2_140, least=3_000)
    training = _begin(acme, alice, "Short stories", note=note)
    first_words = "The river had risen in the night, and the low steps were gone, all but the top one"
    read = {"status": Document.Status.READ, "language": "en", "first_words": first_words}
    removed = {"page_numbers": 14, "running_heads": 1, "hyphens": 212}
    rows = [
        {"name": "chapter-1.docx", "words": 1_912, "removed": removed, **read},
        {"name": "letter.txt", "words": 228, **read},
        {"name": "an-old-draft.md", "words": 4_000, "is_left_out": True, **read},
        {"name": LONG_NAME, "status": Document.Status.UPLOADED},
        {"name": "notes.pdf", "status": Document.Status.UPLOADING},
        {
            "name": "scan.pdf",
            "status": Document.Status.REFUSED,
            "refusal": DocumentFault.UNREADABLE(file="scan.pdf"),
        },
    ]
    for row in rows:
        training.documents.create(size_bytes=10, **row)
    return training


def _started(acme: Tenant, alice: User, status: Status, **facts: object) -> Training:
    now = timezone.now()
    began = now - timedelta(minutes=6)
    ended = {"ended_at": now} if status in (Status.FAILED, Status.CANCELLED) else {}
    trained = {} if status == Status.QUEUED else {"step": 31, "steps": 72, "step_seconds": 7.2}
    training = _begin(
        acme,
        alice,
        f"Voice {status}",
        status=status,
        examples=96,
        validation_examples=11,
        epoch_tokens=30_480,
        started_at=began,
        report={"words": 20_120},
        **trained,
        **ended,
        **facts,
    )
    _lay_events(training)
    return training


def _succeeded(acme: Tenant, alice: User, version: AdapterVersion) -> Training:
    training = _started(acme, alice, Status.SUCCEEDED, version=version, style=version.style)
    Training.objects.filter(pk=training.pk).update(ended_at=timezone.now(), step=72, slug=version.style.slug)
    return training


def _lay_events(training: Training) -> None:
    training.events.create(status=Status.QUEUED)
    if training.status == Status.QUEUED:
        return
    training.events.create(status=Status.RUNNING)
    for step in range(1, 32):
        noise = 0.12 * ((step * 7) % 5 - 2) / 2
        training.events.create(step=step, training_loss=3.9 - 0.022 * step + noise)
        if step % 6 == 0:
            training.events.create(step=step, validation_loss=3.8 - 0.014 * step)
