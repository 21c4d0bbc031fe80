"""Trainings: status, cost, and how operators stop one."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from core.console import DescribedRow, Figure, Level, OperatorAdmin, operator_action, state_column
from core.money import usd
from metering import trainings as metering
from metering.models import LedgerEntry, TrainingHold
from tenants.console import NoDelete, Steered
from training import results, summary
from training.models import Document, Training, TrainingEvent
from training.notes import TrainingFailure

# What the console's page of one training shows above its fields: facts, events and documents.
#
# Operators read no texts: it shows and links to neither a document's first words nor a passage.

DOCUMENTS_SHOWN = 100
EVENTS_SHOWN = 100


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


def _document_row(document: Document) -> dict[str, str]:
    """Return a document without its text: its status, its length, and why it can't be used."""
    words = f"{document.words:,} words" if document.words else f"{document.size_bytes:,} bytes"
    facts = [words, document.format, document.language]
    return {
        "name": document.name,
        "status": "Left out" if document.is_left_out else document.get_status_display(),
        "size": ", ".join(fact for fact in facts if fact),
        "note": str(document.refusal),
    }


def _event_row(event: TrainingEvent) -> dict[str, str]:
    """Return a status that the training reached, or losses at a step."""
    at = f"{event.at:%Y-%m-%d %H:%M:%S}"
    if event.status:
        return {"at": at, "what": event.get_status_display()}
    losses = {"loss": event.training_loss, "loss on held-out text": event.validation_loss}
    parts = [f"{name} {loss:.3f}" for name, loss in losses.items() if loss is not None]
    if event.is_checkpoint:
        parts.append("checkpoint saved")
    return {"at": at, "what": f"Step {event.step:,}: {', '.join(parts)}"}


# mypy: disallow-subclassing-any=False
# (unfold has no types)


class StuckFilter(admin.SimpleListFilter):
    """Trainings in progress without a sign of life, and queued ones without a worker."""

    title = "last sign of life"
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "stuck")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Training]) -> QuerySet[Training]:
        return rows.filter(pk__in=summary.find_stuck(timezone.now())) if self.value() else rows


@admin.register(Training)
class TrainingAdmin(NoDelete, Steered, DescribedRow, OperatorAdmin):
    """Only workers and members change these rows. The fields contain no text."""

    list_display = [
        *("name", "tenant", "state", "progress", "last_sign", "trained_tokens", "cost", "created_at"),
    ]
    list_filter = ["status", StuckFilter, ("documents_gone_at", admin.EmptyFieldListFilter)]
    list_select_related = ["tenant"]
    search_fields = ["slug", "name", "tenant__slug"]
    ordering = ["-created_at"]
    fields = [
        *("tenant", "name", "slug", "style", "version", "evaluated_version", "status", "stop_request"),
        *("note", "failure"),
        *("seed", "recipe", "epochs", "corpus_sha256", "rights_stated_at", "rights_stated_by"),
        *("keeps_documents", "documents_gone_at", "created_by", "created_at", "started_at", "ran_at"),
        "ended_at",
    ]
    readonly_fields = fields
    actions = ["stop"]
    state = state_column("status", faults=["failed"])
    change_form_before_template = "admin/training.html"
    described_as = "training"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Training]:
        """Add the charge of each training, or its hold."""
        entries = LedgerEntry.objects.filter(
            kind=LedgerEntry.Kind.TRAINING, source_id=Cast(OuterRef("pk"), CharField())
        )
        holds = TrainingHold.objects.open().filter(training=OuterRef("pk"))
        rows: QuerySet[Training] = super().get_queryset(request)
        return rows.annotate(
            charged_nanousd=Subquery(entries.values("amount_nanousd")[:1]),
            held_nanousd=Subquery(holds.values("nanousd")[:1]),
        )

    def describe_row(self, request: HttpRequest, row: Training) -> object:
        return describe_training(row)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Hide it from the menu where nothing is trained; earlier trainings can still be opened."""
        return settings.TRAINING and bool(super().has_module_permission(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Training | None = None) -> bool:
        return False

    @admin.display(description="progress")
    def progress(self, training: Training) -> str:
        return describe_progress(training)

    @admin.display(description="last sign of life", ordering="changed_at")
    def last_sign(self, training: Training) -> str:
        return f"{timesince(training.changed_at, depth=1)} ago"

    @admin.display(description="cost")
    def cost(self, training: Any) -> str:
        if training.charged_nanousd is not None:
            return usd(training.charged_nanousd)
        return "-" if training.held_nanousd is None else f"{usd(training.held_nanousd)} held"

    @operator_action(
        "Stop",
        effect="The training ends after its current step and can't be resumed. The workspace is only charged "
        "for completed steps. Its texts stay, and members can train again.",
        done="Stopped",
        permissions=["steer"],
        reader=" and shown to the workspace",
        is_danger=True,
    )
    def stop(self, request: HttpRequest, training: Training, reason: str) -> None:
        results.cancel_training(training, TrainingFailure.STOPPED(reason=reason))
