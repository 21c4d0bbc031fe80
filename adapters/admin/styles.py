"""Styles, who may use them, and which of their versions answered when."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from adapters import catalogue, routes, sharing
from adapters.admin.rows import Lasting, ReadOnly
from adapters.models import AdapterVersion, Release, Share, Style
from foundation.console import OperatorAdmin, operator_action


class OfferFilter(admin.SimpleListFilter):
    """What waits for an operator's word."""

    title, parameter_name = "offer", "offer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "waits for approval")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Style]) -> QuerySet[Style]:
        return queryset & Style.objects.offered() if self.value() == "waits" else queryset


class VersionInline(ReadOnly, TabularInline):
    model = AdapterVersion
    fields = ["number", "status", "size_bytes", "note", "created_at"]
    readonly_fields = fields
    extra = 0
    show_change_link = True


@admin.register(Style)
class StyleAdmin(Lasting, OperatorAdmin):
    list_display = ["name", "slug", "owner", "offered_at", "is_public", "live_version", "retired_at"]
    list_filter = [OfferFilter, "is_public", "retired_at", "base_model"]
    list_select_related = ["owner", "live_version__style__owner"]
    search_fields = ["name", "slug", "owner__name", "owner__slug"]
    fields = [
        "owner", "slug", "name", "author", "description", "licence", "sample_prompt", "sample", "is_public",
        "offered_at", "public_since", "public_until", "declined_reason", "retired_at", "base_model",
        "live_version", "created_at",
    ]  # fmt: skip
    readonly_fields = [
        "owner", "slug", "offered_at", "public_since", "public_until", "declined_reason", "base_model",
        "live_version", "created_at",
    ]  # fmt: skip
    inlines = [VersionInline]
    actions = ["approve", "decline", "take_out"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a style begins with an upload

    def save_model(self, request: HttpRequest, obj: Style, form: Any, change: bool) -> None:
        # Only what was changed: the whole row would set back what moves meanwhile, its live version for one.
        obj.save(update_fields=form.changed_data)
        if "is_public" in form.changed_data:
            catalogue.set_public(obj, public=obj.is_public)
        routes.changed(obj)

    @operator_action(
        "Approve",
        effect="They go into the public catalogue, where every workspace can select them.",
        done="Approved",
        permissions=["change"],
    )
    def approve(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.approve(style)

    @operator_action(
        "Decline the offer",
        effect="They stay out of the catalogue.",
        done="Declined",
        permissions=["change"],
        reader="; the owner reads it",
    )
    def decline(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.decline(style, reason)

    @operator_action(
        "Take from everybody but the owner",
        effect="At once, without notice: requests of all others for them fail from the next one on.",
        done="Taken from everybody but the owner",
        permissions=["change"],
        reader="; the owner reads it",
    )
    def take_out(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.end_for_everybody(style, reason=reason)


@admin.register(Release)
class ReleaseAdmin(ReadOnly, ModelAdmin):
    list_display = ["at", "style", "sentence", "reason", "actor"]
    list_filter = ["alias"]
    list_select_related = ["style__owner", "before", "after", "actor"]
    search_fields = ["style__slug", "style__owner__slug", "actor__email"]
    fields = ["style", "alias", "before", "after", "percent", "reason", "actor", "at"]
    readonly_fields = fields


@admin.register(Share)
class ShareAdmin(ReadOnly, OperatorAdmin):
    list_display = ["style", "tenant", "created_by", "created_at", "ends_at"]
    list_select_related = ["style__owner", "tenant", "created_by"]
    search_fields = ["style__slug", "style__owner__slug", "tenant__slug", "tenant__name"]
    ordering = ["-created_at"]
    actions = ["end_now"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("adapters.change_share")

    @operator_action(
        "End at once",
        effect="Without notice: the workspace's requests for the style fail from the next one on.",
        done="Ended",
        permissions=["steer"],
    )
    def end_now(self, request: HttpRequest, share: Share, reason: str) -> None:
        sharing.end(share)
