"""The console's list of failed jobs, from the tasks of any package."""

# mypy: disallow-subclassing-any=False

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.console import OperatorAdmin, operator_action
from operations.models import FailedTask
from operations.monitoring import background_tasks
from operations.monitoring.running_checks import queue_names


class QueueFilter(admin.SimpleListFilter):
    """The queues that there are: the table is not read for them."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in queue_names()]

    def queryset(self, request: HttpRequest, rows: QuerySet[FailedTask]) -> QuerySet[FailedTask]:
        return rows.filter(queue=self.value()) if self.value() else rows


@admin.register(FailedTask)
class FailedTaskAdmin(OperatorAdmin):
    list_display = ["task", "args", "error", "times", "last_at", "retried_at"]
    list_filter = [QueueFilter]
    search_fields = ["task", "error"]
    ordering = ["-last_at"]
    fields = [
        "task",
        "args",
        "kwargs",
        "is_masked",
        "queue",
        "error",
        "shown_traceback",
        "times",
        "first_at",
        "last_at",
        "retried_at",
    ]
    readonly_fields = fields
    actions = ["retry"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("operations.change_failedtask")

    @admin.display(description="traceback")
    def shown_traceback(self, failed: FailedTask) -> SafeString:
        return format_html('<pre class="whitespace-pre-wrap break-all">{}</pre>', failed.traceback)

    @operator_action(
        "Run again",
        effect="Each task is sent to its queue again with the same arguments. All tasks are safe to repeat.",
        done="Sent",
        permissions=["retry"],
    )
    def retry(self, request: HttpRequest, failed: FailedTask, reason: str) -> None:
        background_tasks.retry_task(failed)
