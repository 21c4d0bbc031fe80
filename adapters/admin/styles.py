"""Styles: who may use them, their versions, which of these answered when, and prices that owners ask for."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.forms import ActionForm

from adapters import enqueue
from adapters.admin import moderation
from adapters.catalog import price_changes, sharing, terms
from adapters.erasure import engine_purge
from adapters.erasure.report import erasure_report
from adapters.models import (
    AdapterVersion,
    EngineErasure,
    Erasure,
    Placement,
    PriceChange,
    Release,
    Share,
    Style,
)
from adapters.models.styles import REVIEWED_WORDS
from adapters.placement import transitions
from adapters.releases import review
from adapters.routing import publisher
from core.console import ListAdmin, OperatorAdmin, operator_action, state_column
from core.grammar import mark_code
from tenants.console import NoDelete, ReadOnly

# Erasures: the reports, and an operator's word for machines that nobody can look at.


class EngineErasureInline(ReadOnly, TabularInline):
    model = EngineErasure
    fields = ["engine", "unregistered_at", "memory_free_at", "proof", "copy_gone_at", "note"]


@admin.register(Erasure)
class ErasureAdmin(ReadOnly, OperatorAdmin):
    list_display = ["version", "requested_at", "drained_at", "storage_gone_at", "finished_at", "note"]
    list_filter = [("finished_at", admin.EmptyFieldListFilter)]
    list_select_related = ["version__style__owner"]
    search_fields = ["version__style__slug", "version__style__owner__slug", "=version__sha256"]
    ordering = ["-requested_at"]
    fields = ["version", "requested_by", "requested_at", "report"]
    inlines = [EngineErasureInline]
    actions = ["attest"]

    @admin.display(description="report")
    def report(self, erasure: Erasure) -> SafeString:
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>',
            erasure_report(erasure).text(),
        )

    @operator_action(
        "Confirm that the machines of unreachable engines were wiped",
        effect="The report will say that an operator confirmed that no copy is left on those machines.",
        done="Confirmed",
        permissions=["steer"],
    )
    def attest(self, request: HttpRequest, erasure: Erasure, reason: str) -> None:
        engine_purge.attest(erasure)


class PlacementInline(ReadOnly, TabularInline):
    model = Placement
    fields = ["engine", "is_desired", "loaded_at", "loaded_as", "loads", "note"]


@admin.register(AdapterVersion)
class AdapterVersionAdmin(ReadOnly, OperatorAdmin):
    list_display = ["__str__", "state", "rank", "size_bytes", "note", "created_at"]
    list_filter = ["status"]
    list_select_related = ["style__owner"]
    search_fields = ["style__slug", "style__owner__slug", "=sha256"]
    ordering = ["-created_at"]
    fields = [
        *("style", "number", "status", "note", "failure", "report", "rank", "alpha", "target_modules"),
        *("size_bytes", "stored_bytes", "sha256", "config_sha256", "files", "created_by", "created_at"),
        *("handed_in_at", "approved_at", "life"),
    ]
    inlines = [PlacementInline]
    actions = ["approve", "retry", "retire"]
    state = state_column("status", soon=["failed"])

    @admin.display(description="findings")
    def report(self, version: AdapterVersion) -> SafeString | str:
        rows = []
        for finding in version.findings:
            rows.append((finding.code, mark_code(finding.sentence), mark_code(finding.fix)))
        items = format_html_join("", "<li><code>{}</code> {} <em>{}</em></li>", rows)
        return format_html("<ol>{}</ol>", items) if items else "none"

    @admin.display(description="history")
    def life(self, version: AdapterVersion) -> SafeString:
        steps = version.history.all()
        rows = [(f"{step.at:%Y-%m-%d %H:%M:%S}", step.get_status_display()) for step in steps]
        return format_html_join("", "<div>{} {}</div>", rows)

    @operator_action(
        "Approve",
        effect="For a public style, other workspaces can use the version by its number, and get it when it "
        "is live or a canary.",
        done="Approved",
        permissions=["steer"],
    )
    def approve(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        sharing.approve_version(version)

    @operator_action(
        "Retry loading",
        effect="Failed versions are sent to an engine again. Other versions don't change.",
        done="Retrying",
        permissions=["steer"],
    )
    def retry(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        transitions.retry_version(version)
        enqueue.enqueue_advance(version.pk)

    @operator_action(
        "Retire permanently",
        effect="The version can no longer be used. If it is live, the style rolls back to the previous "
        "version.",
        done="Retired",
        permissions=["steer"],
        is_danger=True,
    )
    def retire(self, request: HttpRequest, version: AdapterVersion, reason: str) -> None:
        transitions.retire_version(version)


EDITABLE = ("name", "author", "description", "licence", "sample_prompt", "sample", "is_public", "retired_at")


def _now() -> str:
    return timezone.now().isoformat()


class SeenForm(ActionForm):
    """An action on a list, and when the list was shown: approving leaves out what was changed after that."""

    seen_at = forms.CharField(required=False, initial=_now, widget=forms.HiddenInput, label="")


class OfferFilter(admin.SimpleListFilter):
    """Styles that wait for an operator's approval."""

    title = "offer"
    parameter_name = "offer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "pending approval")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Style]) -> QuerySet[Style]:
        if self.value() != "waits":
            return queryset
        offered = Style.objects.offered().order_by().values("pk")
        changed = Style.objects.changed().order_by().values("pk")
        return queryset.filter(Q(pk__in=offered) | Q(pk__in=changed))


class VersionInline(ReadOnly, TabularInline):
    model = AdapterVersion
    fields = ["number", "status", "size_bytes", "note", "created_at"]
    show_change_link = True


@admin.register(Style)
class StyleAdmin(NoDelete, OperatorAdmin):
    list_display = [
        *("name", "slug", "owner", "offered_at", "asked_for", "is_public", "live_version"),
        *("suspended_at", "retired_at"),
    ]
    list_filter = [
        *(OfferFilter, ("suspended_at", admin.EmptyFieldListFilter), "is_public", "retired_at", "base_model"),
    ]
    list_select_related = ["owner", "live_version__style__owner"]
    search_fields = ["name", "slug", "owner__name", "owner__slug"]
    fields = [
        *("owner", "slug", "name", "author", "description", "licence", "sample_prompt", "sample"),
        *("is_public", "offered_at", "asked_for", "public_since", "public_until", "declined_reason"),
        *("retired_at", "suspended_at", "suspended_reason", "base_model", "live_version", "approved_version"),
        *(f"approved_{field}" for field in (*REVIEWED_WORDS, "sample")),
        *("changed_at", "created_at"),
    ]
    readonly_fields = [field for field in fields if field not in EDITABLE]
    inlines = [VersionInline]
    action_form = SeenForm
    actions = ["approve", "decline", "take_out", "suspend", "lift_suspension"]
    change_list_template = "admin/style_list.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a style begins with an upload

    def get_urls(self) -> list[URLPattern]:
        """Add the queue of what waits for approval."""
        queue = self.admin_site.admin_view(self.show_queue)
        urls: list[URLPattern] = super().get_urls()
        return [path("queue/", queue, name="adapters_style_queue"), *urls]

    def show_queue(self, request: HttpRequest) -> HttpResponse:
        """Show what waits for approval, with all that a decision needs; its forms are the list's actions."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Pending approval",
            "opts": self.opts,
            "checkbox": ACTION_CHECKBOX_NAME,
            "may_decide": self.has_change_permission(request),
            "seen_at": _now(),
            **moderation.read_queue(),
        }
        return TemplateResponse(request, "admin/moderation.html", context)

    @admin.display(description="requested")
    def asked_for(self, style: Style) -> str:
        return terms.summarize_terms(terms.asked_terms(style))

    def save_model(self, request: HttpRequest, obj: Style, form: Any, change: bool) -> None:
        # Only the changed fields: saving the whole row would undo what others changed meanwhile, such as the
        # live version.
        obj.save(update_fields=form.changed_data)
        if "is_public" in form.changed_data:
            sharing.set_public(obj, public=obj.is_public)
        elif obj.is_reviewed:
            changed_words = [field for field in form.changed_data if field in REVIEWED_WORDS]
            review.approve_words(obj, changed_words)
        publisher.mark_changed(obj)

    @operator_action(
        "Approve",
        effect="The styles are published in the catalogue in their current state, and every workspace "
        "can select them. For styles that are already public, the changed live version and texts "
        "are published. Requested prices and shares take effect with a new price book, in two "
        "minutes or after the last announced one.",
        done="Approved",
        permissions=["change"],
    )
    def approve(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.approve_style(style, parse_datetime(request.POST.get("seen_at", "")))

    @operator_action(
        "Decline offer or change",
        effect="The styles are not published. Styles that are already public keep their approved state.",
        done="Declined",
        permissions=["change"],
        reader="; visible to the owner",
    )
    def decline(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.decline_offer(style, reason)

    @operator_action(
        "Withdraw from all other workspaces",
        effect="Takes effect immediately and without notice: requests from all other workspaces fail.",
        done="Withdrawn from all other workspaces",
        permissions=["change"],
        reader="; visible to the owner",
        is_danger=True,
    )
    def take_out(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.end_all_shares(style, reason=reason)

    @operator_action(
        "Suspend everywhere",
        effect="Takes effect immediately, for the owner as well, and engines unload the style. Its "
        "files are kept; “Lift suspension” restores everything.",
        done="Suspended",
        permissions=["change"],
        reader="; visible to the owner",
        is_danger=True,
    )
    def suspend(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.suspend_style(style, reason=reason)

    @operator_action(
        "Lift suspension",
        effect="The style is available again to everyone who had it. The first request may wait until it "
        "is loaded.",
        done="Suspension lifted",
        permissions=["change"],
    )
    def lift_suspension(self, request: HttpRequest, style: Style, reason: str) -> None:
        sharing.lift_suspension(style)


@admin.register(Release)
class ReleaseAdmin(ReadOnly, ListAdmin):
    list_display = ["at", "style", "sentence", "reason", "actor", "api_key"]
    list_filter = ["alias"]
    list_select_related = ["style__owner", "before", "after", "actor", "api_key"]
    search_fields = ["style__slug", "style__owner__slug", "actor__email"]
    fields = ["style", "alias", "before", "after", "percent", "reason", "actor", "api_key", "at"]

    @admin.display(description="change")
    def sentence(self, release: Release) -> str:
        return release.sentence


@admin.register(Share)
class ShareAdmin(ReadOnly, OperatorAdmin):
    list_display = ["style", "tenant", "created_by", "created_at", "ends_at"]
    list_select_related = ["style__owner", "tenant", "created_by"]
    search_fields = ["style__slug", "style__owner__slug", "tenant__slug", "tenant__name"]
    ordering = ["-created_at"]
    actions = ["end_now"]

    @operator_action(
        "End immediately",
        effect="Takes effect immediately and without notice: the workspace's requests for the style fail.",
        done="Ended",
        permissions=["steer"],
        is_danger=True,
    )
    def end_now(self, request: HttpRequest, share: Share, reason: str) -> None:
        sharing.end_share(share)


@admin.register(PriceChange)
class PriceChangeAdmin(ReadOnly, OperatorAdmin):
    list_display = ["style", "shown_state", "asks_for", "first_day", "effective_from", "asked_at"]
    list_filter = ["state"]
    list_select_related = ["style__owner"]
    search_fields = ["style__slug", "style__owner__slug"]
    fields = [
        *("style", "state", "costs_now", "asks_for", "first_day", "effective_from", "announced_at"),
        *("reason", "asked_at", "changed_at"),
    ]
    action_form = SeenForm
    actions = ["agree", "decline"]
    shown_state = state_column("state", soon=["waiting"])

    @admin.display(description="requested")
    def asks_for(self, change: PriceChange) -> str:
        return terms.summarize_terms(price_changes.terms_of(change)) or "standard price, no share"

    @admin.display(description="current price")
    def costs_now(self, change: PriceChange) -> str:
        prices = terms.prices_of(change.style)
        now = prices[0] if prices else {"author_percent": 0}
        amounts = "standard price"
        if "input" in now:
            amounts = f"{now['input']} / {now['cached_input']} / {now['output']} per million tokens"
        return f"{amounts}, {now['author_percent']}% to the author"

    @operator_action(
        "Agree",
        effect="The price takes effect on the requested date, or in a week if that is later. Workspaces "
        "that selected the style are notified within a minute.",
        done="Approved",
        permissions=["steer"],
    )
    def agree(self, request: HttpRequest, change: PriceChange, reason: str) -> None:
        price_changes.agree_price(change, parse_datetime(request.POST.get("seen_at", "")))

    @operator_action(
        "Decline",
        effect="The style keeps its current price.",
        done="Declined",
        permissions=["steer"],
        reader="; visible to the owner",
    )
    def decline(self, request: HttpRequest, change: PriceChange, reason: str) -> None:
        price_changes.decline_price(change, reason)
