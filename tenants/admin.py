"""The audit log: to search, to read and to export."""

# mypy: disallow-subclassing-any=False

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.console import ListAdmin
from core.spreadsheets import csv_text
from tenants.audit import BY_COMMAND
from tenants.audit_log import describe_action, read_cell
from tenants.console import MomentFilter, ReadOnly, ValueFilter
from tenants.models import AuditEntry, Tenant

MAX_EXPORTED = 50_000
SEARCHED_TEXTS = 100_000  # entries, the newest; ids, addresses and workspaces are found in all
ACTION_COLUMNS = ["action", "object_type", "object_id", "object_name", "reason"]
EXPORTED = ["position", "at", "actor", "api_key", "tenant", *ACTION_COLUMNS]
EXPORTED += ["before", "after", "address", "previous_hash", "hash"]
SHOWN = ["at", "who", "address", "workspace", *ACTION_COLUMNS]
SHOWN += ["was", "became", "position", "previous_hash", "hash"]


def name_action(action: str) -> str:
    """Return an action's name for people: `api_key.created` is "API key created", `revoke` is "Revoke"."""
    described = describe_action(action)
    return described if described != action else action.replace("_", " ").capitalize()


class ActionFilter(ValueFilter):
    """What was done."""

    title = "action"
    parameter_name = "action"
    model = AuditEntry


class KindFilter(ValueFilter):
    """To what kind of row it was done."""

    title = "object type"
    parameter_name = "object_type"
    model = AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ListAdmin):
    list_display = ["at", "who", "what", "object_name", "workspace", "reason", "address"]
    list_filter = [("at", MomentFilter), ActionFilter, KindFilter]
    list_filter_submit = True
    list_select_related = ["actor", "api_key", "tenant"]
    search_fields = ["reason"]  # `get_search_results` says what is searched
    search_help_text = "An email address, id, workspace short name, IP address or text"
    ordering = ["-at"]
    sortable_by = ["at"]  # another order has no index
    change_list_template = "admin/audit_list.html"
    fields = SHOWN
    readonly_fields = SHOWN

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        if entry.actor:
            return entry.actor.email
        if entry.api_key:
            return f"key {entry.api_key.name}"
        is_command = entry.reason.startswith(BY_COMMAND)
        return " ".join(entry.reason.split()[:2]) if is_command else "the system"

    @admin.display(description="action")
    def what(self, entry: AuditEntry) -> str:
        return name_action(entry.action)

    @admin.display(description="workspace")
    def workspace(self, entry: AuditEntry) -> Tenant | str:
        return entry.tenant or ""

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> SafeString | str:
        return _show_facts(entry.before)

    @admin.display(description="after")
    def became(self, entry: AuditEntry) -> SafeString | str:
        return _show_facts(entry.after)

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[AuditEntry], term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Return the entries of a person, a row or a workspace, by an index; else those with the words."""
        term = term.strip()
        if not term:
            return rows, False
        exact = Q(actor__email=term.lower()) | Q(tenant__slug=term.lower())
        by_name = AuditEntry.objects.filter(exact).order_by()
        if by_name.exists():
            return rows.filter(exact), False
        by_id = rows.filter(object_id=term)
        if by_id.exists():
            return by_id, False
        newest = AuditEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
        matching = Q(reason__icontains=term) | Q(object_name__icontains=term) | Q(address__startswith=term)
        return rows.filter(matching, pk__gt=newest - SEARCHED_TEXTS), False

    def get_urls(self) -> list[URLPattern]:
        """Add the export, which takes the list's own filters."""
        export = self.admin_site.admin_view(self.export)
        urls: list[URLPattern] = super().get_urls()
        return [path("export/", export, name="tenants_auditentry_export"), *urls]

    def export(self, request: HttpRequest) -> HttpResponse:
        """Return the list, as it is filtered, as CSV; the export itself is audited."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        shown = self.get_changelist_instance(request).get_queryset(request)
        entries = list(shown[: MAX_EXPORTED + 1])
        if len(entries) > MAX_EXPORTED:
            messages.error(
                request, f"Nothing was exported. Narrow the list to at most {MAX_EXPORTED:,} entries."
            )
            query = request.GET.urlencode()
            return redirect(f"{reverse('admin:tenants_auditentry_changelist')}?{query}")
        if entries:
            facts = {"entries": len(entries), "filters": request.GET.dict()}
            self.admin_site.record(request, action="audit.exported", row=entries[0], reason="", after=facts)
        return _as_csv(entries)


def _show_facts(facts: dict[str, Any]) -> SafeString | str:
    if not facts:
        return "nothing"
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return format_html('<pre class="whitespace-pre-wrap break-all">{}</pre>', text)


def _as_csv(entries: list[AuditEntry]) -> HttpResponse:
    name = f"audit-{timezone.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    rows = [EXPORTED]
    for entry in entries:
        rows.append([_cell(entry, column) for column in EXPORTED])
    return HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8", headers=headers)


def _cell(entry: AuditEntry, column: str) -> str:
    """Return what a column says."""
    match column:
        case "actor":
            return entry.actor.email if entry.actor else ""
        case "tenant":
            return entry.tenant.slug if entry.tenant else ""
    return read_cell(entry, column)
