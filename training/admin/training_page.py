"""What the console's page of one training shows above its fields: facts, events and documents.

Operators read no texts: it shows and links to neither a document's first words nor a passage.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from core.console import Figure, Level
from core.money import usd
from metering import trainings as metering
from metering.models import TrainingHold
from training import summary
from training.models import Document, Training, TrainingEvent

DOCUMENTS_SHOWN = 100
EVENTS_SHOWN = 100


@dataclass(frozen=True)
class DocumentRow:
    """A document without its text: its status, its length, and why it can't be used."""

    name: str
    status: str
    size: str
    note: str


@dataclass(frozen=True)
class EventRow:
    """A status that the training reached, or losses at a step."""

    at: str
    what: str


def describe_training(training: Training) -> dict[str, object]:
    """Return the page's facts, its newest events and its documents."""
    newest = training.events.order_by("-pk")[:EVENTS_SHOWN]
    documents = training.documents.order_by("created_at", "pk")
    return {
        "facts": list(_facts(training)),
        "events": [_event_row(event) for event in newest],
        "documents": [_document_row(document) for document in documents[:DOCUMENTS_SHOWN]],
        "documents_count": documents.count(),
        "links": list(_links(training)),
    }


def describe_progress(training: Training) -> str:
    """Return a training's progress: `38%, step 50 of 130`."""
    if not training.steps:
        return "-"
    return f"{training.percent}%, step {training.step:,} of {training.steps:,}"


def _facts(training: Training) -> Iterator[Figure]:
    is_silent = summary.find_stuck(timezone.now()).filter(pk=training.pk).exists()
    level = Level.FAULT if is_silent else Level.NORMAL
    yield Figure("State", training.get_status_display(), level=level)
    yield Figure("Last sign of life", f"{timesince(training.changed_at)} ago", level=level)
    yield Figure("Progress", describe_progress(training))
    if training.left_s is not None:
        yield Figure("Left", f"about {max(1, training.left_s // 60):,} min")
    yield Figure("Trained", f"{training.trained_tokens:,} of at most {training.most_tokens:,} tokens")
    yield Figure("Cost", _describe_cost(training))
    yield Figure("Examples", f"{training.examples:,}, and {training.validation_examples:,} to check it")
    yield Figure(
        "Losses", f"{_loss(training.training_loss)}, {_loss(training.validation_loss)} on held-out text"
    )
    if training.attempts > 1:
        yield Figure("Attempts since the last checkpoint", f"{training.attempts:,}", level=Level.SOON)
    yield Figure("Texts", _describe_texts(training))


def _describe_cost(training: Training) -> str:
    charged = metering.charge_of(training.pk)
    if charged is not None:
        return f"{usd(charged)} charged"
    held = TrainingHold.objects.open().filter(training=training.pk).values_list("nanousd", flat=True).first()
    return "nothing yet" if held is None else f"{usd(held)} held"


def _describe_texts(training: Training) -> str:
    if training.documents_gone_at:
        return f"deleted {training.documents_gone_at:%Y-%m-%d %H:%M} UTC"
    if training.keeps_documents:
        return "kept until a member deletes them"
    return "deleted 30 days after the end"


def _loss(loss: float | None) -> str:
    return "none yet" if loss is None else f"{loss:.3f}"


def _links(training: Training) -> Iterator[tuple[str, str]]:
    yield "Workspace", reverse("admin:tenants_tenant_change", args=[training.tenant_id])
    if training.style_id:
        yield "Style", reverse("admin:adapters_style_change", args=[training.style_id])
    if training.version_id:
        yield "Version", reverse("admin:adapters_adapterversion_change", args=[training.version_id])


def _document_row(document: Document) -> DocumentRow:
    status = "Left out" if document.is_left_out else document.get_status_display()
    words = f"{document.words:,} words" if document.words else f"{document.size_bytes:,} bytes"
    facts = [words, document.format, document.language]
    return DocumentRow(
        name=document.name,
        status=status,
        size=", ".join(fact for fact in facts if fact),
        note=str(document.refusal),
    )


def _event_row(event: TrainingEvent) -> EventRow:
    at = f"{event.at:%Y-%m-%d %H:%M:%S}"
    if event.status:
        return EventRow(at, event.get_status_display())
    losses = {"loss": event.training_loss, "loss on held-out text": event.validation_loss}
    parts = [f"{name} {loss:.3f}" for name, loss in losses.items() if loss is not None]
    if event.is_checkpoint:
        parts.append("checkpoint saved")
    return EventRow(at, f"Step {event.step:,}: {', '.join(parts)}")
