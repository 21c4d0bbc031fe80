"""Styles, who may use them, and which of their versions answered when."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from adapters import catalogue, routes, sharing
from adapters.admin.rows import Lasting, ReadOnly
from adapters.errors import NotOffered
from adapters.models import AdapterVersion, Release, Share, Style


class ReasonForm(ActionForm):
    """An action, and why: the style's owner reads it."""

    reason = forms.CharField(
        label="",
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget({"placeholder": "Reason, for its owner", "aria-label": "Reason"}),
    )


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
class StyleAdmin(Lasting, ModelAdmin):
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
    action_form = ReasonForm
    actions = ["approve", "decline", "take_out"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a style begins with an upload

    def save_model(self, request: HttpRequest, obj: Style, form: Any, change: bool) -> None:
        # Only what was changed: the whole row would set back what moves meanwhile, its live version for one.
        obj.save(update_fields=form.changed_data)
        if "is_public" in form.changed_data:
            catalogue.set_public(obj, public=obj.is_public)
        routes.changed(obj)

    @admin.action(description="Approve: into the public catalogue", permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Style]) -> None:
        for style in chosen.select_related("owner"):
            try:
                sharing.approve(style)
            except NotOffered as error:
                messages.warning(request, f"{style}: {error.message}")

    @admin.action(description="Decline the offer, with a reason", permissions=["change"])
    def decline(self, request: HttpRequest, chosen: QuerySet[Style]) -> None:
        reason = _reason(request)
        for style in chosen.select_related("owner") if reason else ():
            try:
                sharing.decline(style, reason)
            except NotOffered as error:
                messages.warning(request, f"{style}: {error.message}")

    @admin.action(description="Take from everybody but its owner, at once", permissions=["change"])
    def take_out(self, request: HttpRequest, chosen: QuerySet[Style]) -> None:
        reason = _reason(request)
        for style in chosen.select_related("owner") if reason else ():
            sharing.end_for_everybody(style, reason=reason)


def _reason(request: HttpRequest) -> str:
    """Return the reason that was written beside an action; ask for it when it is missing."""
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Nothing was done: write the reason beside the action. Its owner reads it.")
    return reason


@admin.register(Release)
class ReleaseAdmin(ReadOnly, ModelAdmin):
    list_display = ["at", "style", "sentence", "reason", "actor"]
    list_filter = ["alias"]
    list_select_related = ["style__owner", "before", "after", "actor"]
    search_fields = ["style__slug", "style__owner__slug", "actor__email"]
    fields = ["style", "alias", "before", "after", "percent", "reason", "actor", "at"]
    readonly_fields = fields


@admin.register(Share)
class ShareAdmin(ReadOnly, ModelAdmin):
    list_display = ["style", "tenant", "created_by", "created_at", "ends_at"]
    list_select_related = ["style__owner", "tenant", "created_by"]
    search_fields = ["style__slug", "style__owner__slug", "tenant__slug", "tenant__name"]
    ordering = ["-created_at"]
    actions = ["end_now"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("adapters.change_share")

    @admin.action(description="End at once, without notice", permissions=["steer"])
    def end_now(self, request: HttpRequest, chosen: QuerySet[Share]) -> None:
        for share in chosen:
            sharing.end(share)
