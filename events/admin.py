"""Webhook endpoints, and mail about events. Operators see neither a secret nor a receiver's path."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.console import Level, ListAdmin, OperatorAdmin, mark, operator_action, state_column
from events.models import NoticeMail, WebhookDelivery, WebhookEndpoint
from events.webhooks import endpoints
from tenants.console import ReadOnly

LAST = ("attempted_at", "status", "failure")  # of the newest delivery that was attempted


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly, OperatorAdmin):
    list_display = [
        *("address", "tenant", "state", "failing_since", "last_delivery", "last_attempted_at", "created_at"),
    ]
    list_filter = ["is_enabled", "failing_since"]
    list_select_related = ["tenant"]
    search_fields = ["tenant__name", "tenant__slug"]
    ordering = ["-created_at"]
    # Not `url`: many receivers take messages from anybody who knows their path.
    fields = [*list_display, "description", "event_types", "disabled_at", "created_by", "changed_at"]
    actions = ["disable"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        """Return the endpoints, each with how the last attempt to deliver went."""
        attempted = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), attempted_at__isnull=False)
        newest = attempted.order_by("-pk")
        rows: QuerySet[WebhookEndpoint] = super().get_queryset(request)
        return rows.annotate(**{f"last_{name}": Subquery(newest.values(name)[:1]) for name in LAST})

    @admin.display(description="address", ordering="url")
    def address(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.shown_url

    @admin.display(description="state", ordering="is_enabled")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        if not endpoint.is_enabled:
            return format_html("{} {}", mark("Disabled"), endpoint.disabled_reason)
        return mark("Failing", Level.SOON) if endpoint.failing_since else mark("Enabled")

    @admin.display(description="last delivery")
    def last_delivery(self, endpoint: Any) -> str:
        if endpoint.last_status is None:
            return "none yet"
        status = WebhookDelivery.Status(endpoint.last_status).label
        return f"{status}: {endpoint.last_failure}" if endpoint.last_failure else str(status)

    @admin.display(description="last attempt")
    def last_attempted_at(self, endpoint: Any) -> Any:
        return endpoint.last_attempted_at

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("events.change_webhookendpoint")

    @operator_action(
        "Disable",
        effect="The endpoints get no more events until their workspace enables them. Pending deliveries "
        "are dropped. Owners are notified by email.",
        done="Disabled",
        permissions=["disable"],
        reader="; visible to the owner",
        is_danger=True,
    )
    def disable(self, request: HttpRequest, endpoint: WebhookEndpoint, reason: str) -> None:
        endpoints.disable_by_operator(endpoint, reason)


@admin.register(NoticeMail)
class NoticeMailAdmin(ReadOnly, ListAdmin):
    list_display = [
        *("created_at", "kind", "recipient", "tenant", "shown_status", "attempts", "ended_at", "failure"),
    ]
    list_filter = ["status", "kind"]
    list_select_related = ["membership__user", "invitation", "tenant"]
    search_fields = ["=membership__user__email", "=invitation__email", "=tenant__slug"]
    search_help_text = "A person's complete email address or a workspace's complete short name"
    ordering = ["-pk"]
    fields = [
        *("kind", "recipient", "tenant", "status", "attempts", "next_attempt_at", "ended_at", "failure"),
        "created_at",
    ]
    shown_status = state_column("status", faults=["failed"])
