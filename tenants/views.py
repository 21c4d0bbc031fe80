"""The page with what was done in the workspace, and the same as a table to download."""

from datetime import date
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from core.money import usd
from core.pages import render_page_or_part
from tenants import audit_log
from tenants.access import MemberRequest, member_required
from tenants.audit_log import describe_action
from tenants.models import AuditEntry
from tenants.roles import Permission, requires

# The form that filters the audit log.


class AuditFilterForm(forms.Form):
    """Which entries of the audit log to show."""

    action = forms.ChoiceField(label=_("Action"), required=False)
    person = forms.CharField(label=_("Member or key"), required=False, max_length=100)
    first_day = forms.DateField(
        label=_("From (UTC)"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    last_day = forms.DateField(
        label=_("To (UTC)"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, actions: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ChoiceField, self.fields["action"])
        field.choices = [("", gettext("All")), *[(action, describe_action(action)) for action in actions]]


ENTRIES_SHOWN = 50
NANOUSD = "_nanousd"  # the unit of a field's name; people read dollars


@require_GET
@member_required
@requires(to_read=Permission.READ_AUDIT_LOG)
def show_audit_log(request: MemberRequest) -> HttpResponse:
    """Show one page of the log, newest first; `?before=` names the last entry of the page before."""
    form, filters = _read_filters(request)
    entries = audit_log.find_entries(request.tenant, **filters)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    shown = list(entries[: ENTRIES_SHOWN + 1])
    has_more = len(shown) > ENTRIES_SHOWN
    shown = shown[:ENTRIES_SHOWN]
    query = _query_of(filters)
    context = {
        "form": form,
        "rows": [_row(entry) for entry in shown],
        "is_filtered": bool(query),
        "is_first": not before,
        "query": query,
        "older": f"{query}&before={shown[-1].pk}".lstrip("&") if has_more else "",
    }
    return render(request, "tenants/audit_log.html", context, status=200 if form.is_valid() else 400)


@require_GET
@member_required
@requires(to_read=Permission.READ_AUDIT_LOG)
def show_audit_entry(request: MemberRequest, entry_id: int) -> HttpResponse:
    """Show one entry: a page, or for htmx what the drawer beside the log shows of it."""
    entry = get_object_or_404(audit_log.find_entries(request.tenant), pk=entry_id)
    return render_page_or_part(request, "tenants/audit_entry.html", {"row": _row(entry)})


@require_GET
@member_required
@requires(to_read=Permission.READ_AUDIT_LOG)
def download_audit_log(request: MemberRequest) -> HttpResponseBase:
    """Answer the log, or what the filters leave of it, as CSV."""
    _, filters = _read_filters(request)
    entries = audit_log.find_entries(request.tenant, **filters)
    response = StreamingHttpResponse(audit_log.write_csv(entries), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-log-{request.tenant.slug}.csv"'
    return response


def _read_filters(request: MemberRequest) -> tuple[AuditFilterForm, dict[str, Any]]:
    """Return the form as it was sent, and the filters of a valid one."""
    form = AuditFilterForm(request.GET, actions=audit_log.list_actions(request.tenant))
    return form, form.cleaned_data if form.is_valid() else {}


def _query_of(filters: dict[str, object]) -> str:
    """Return the filters as they stand in an address, without those that are empty."""
    given = {}
    for name, value in filters.items():
        if value:
            given[name] = value.isoformat() if isinstance(value, date) else value
    return urlencode(given)


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "entry": entry,
        "actor": audit_log.describe_actor(entry),
        "action": describe_action(entry.action),
        "changes": [_show_change(entry, name) for name in {**entry.before, **entry.after}],
    }


def _show_change(entry: AuditEntry, name: str) -> tuple[str, object, object]:
    """Return a field with its values before and after; amounts in dollars."""
    before, after = entry.before.get(name), entry.after.get(name)
    if not name.endswith(NANOUSD):
        return name, _show_value(before), _show_value(after)
    before, after = (usd(value) if isinstance(value, int) else value for value in (before, after))
    return name.removesuffix(NANOUSD) + "_usd", before, after


def _show_value(value: object) -> object:
    """Return a value for people: a list without Python's brackets, an empty one as a dash."""
    return (", ".join(map(str, value)) or "\N{EN DASH}") if isinstance(value, list) else value
