"""Trainings: status, cost, and how operators stop one."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince

from core.console import DescribedRow, OperatorAdmin, operator_action, state_column
from core.money import usd
from metering.models import LedgerEntry, TrainingHold
from tenants.console import NoDelete
from training import endings, summary
from training.admin.training_page import describe_progress, describe_training
from training.models import Training
from training.notes import TrainingFailure


class StuckFilter(admin.SimpleListFilter):
    """Trainings in progress without a sign of life, and queued ones without a worker."""

    title = "last sign of life"
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "stuck")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Training]) -> QuerySet[Training]:
        return rows.filter(pk__in=summary.find_stuck(timezone.now())) if self.value() else rows


@admin.register(Training)
class TrainingAdmin(NoDelete, DescribedRow, OperatorAdmin):
    """Only workers and members change these rows. The fields contain no text."""

    list_display = [
        *("name", "tenant", "state", "progress", "last_sign", "trained_tokens", "cost", "created_at"),
    ]
    list_filter = ["status", StuckFilter, ("documents_gone_at", admin.EmptyFieldListFilter)]
    list_select_related = ["tenant"]
    search_fields = ["slug", "name", "tenant__slug"]
    ordering = ["-created_at"]
    fields = [
        *(
            "tenant",
            "name",
            "slug",
            "style",
            "version",
            "evaluated_version",
            "status",
            "stop_request",
            "note",
            "failure",
        ),
        *("seed", "recipe", "epochs", "corpus_sha256", "rights_stated_at", "rights_stated_by"),
        *(
            "keeps_documents",
            "documents_gone_at",
            "created_by",
            "created_at",
            "started_at",
            "ran_at",
            "ended_at",
        ),
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

    def has_steer_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

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
        endings.cancel_training(training, TrainingFailure.STOPPED(reason=reason))
