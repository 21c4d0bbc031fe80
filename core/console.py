"""Building blocks of the operators' console: every change has a reason and an entry in the audit log.

Every page that changes rows is an `OperatorAdmin`, every other list a `ListAdmin`; every action is an
`operator_action`. The console itself (operations/console/site.py) writes the audit log, so that no package
depends on another package's log.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from core.errors import DomainError
from core.money import usd

# Pages of a list that may be very long.

MAX_COUNTED = 1_000  # rows, ten pages; PostgreSQL estimates the length of a longer list


class EstimatedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a list. Its length is PostgreSQL's own estimate where it is long."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # In the list's own order: that index has these rows together, and the table has them anywhere.
        counted = rows[: MAX_COUNTED + 1].count()
        if counted <= MAX_COUNTED:
            return counted
        (plan,) = json.loads(rows.order_by().explain(format="json"))
        return max(counted, int(plan["Plan"]["Plan Rows"]))


# mypy: disallow-subclassing-any=False
# (unfold has no types)


MAX_ROWS = 100  # of one action; a person can't check more
MAX_REASON = 300  # characters
NANOUSD = "_nanousd"  # how the names of amounts end
MAX_VALUE = 300  # characters of one value in the audit log
SECRET_FIELDS = {
    "password",
    "password1",
    "password2",
    "usable_password",
    "digest",
    "data",
    "sealed_secret",
    "sealed_previous_secret",
}
DIGESTS = ("digest", "hash", "sha256", "fingerprint")  # how their names end; they tell a text or a key


class Level(Enum):
    """How urgent something is. What is merely off, absent, zero or not configured is normal."""

    NORMAL = ""
    SOON = "soon"  # amber: somebody is needed soon
    FAULT = "fault"  # red

    @property
    def label(self) -> str:
        """Return the level for people who don't see its colour."""
        return {"": "", "soon": "Needs attention:", "fault": "Fault:"}[self.value]


@dataclass(frozen=True)
class Figure:
    """One fact of a page, in words. Its address is the list of the rows that it is derived from."""

    name: str
    value: str
    note: str = ""
    address: str = ""
    level: Level = Level.NORMAL


def list_address(page: str, **filters: object) -> str:
    """Return the address of a console list, such as `tenants_tenant`, with some filters."""
    query = urlencode(filters)
    address = reverse(f"admin:{page}_changelist")
    return f"{address}?{query}" if query else address


def mark(text: str, level: Level = Level.NORMAL) -> SafeString:
    """Return a state as a mark, in the colour of its level."""
    return format_html('<span class="mark" data-level="{}">{}</span>', level.value, text)


def state_column(
    field: str, *, faults: Sequence[str] = (), soon: Sequence[str] = ()
) -> Callable[[Any, Any], SafeString]:
    """Return a column that shows a row's state as a mark. States that aren't named are normal."""

    @admin.display(description=field.replace("_", " "), ordering=field)
    def show(_: Any, row: Any) -> SafeString:
        state = getattr(row, field)
        level = Level.FAULT if state in faults else Level.SOON if state in soon else Level.NORMAL
        name = getattr(row, f"get_{field}_display")()
        return mark(name[:1].upper() + name[1:], level)

    return show


class ReasonField(forms.CharField):
    """The reason of a change."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("label", "Reason for this change")
        options.setdefault("max_length", MAX_REASON)
        options.setdefault("help_text", "Recorded in the audit log with your name.")
        options.setdefault("widget", UnfoldAdminTextInputWidget({"autocomplete": "off"}))
        super().__init__(**options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return False: a reason alone changes no row."""
        return False


class OperatorForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of the console. It asks for a reason."""

    why = ReasonField()


class MomentWidget(UnfoldAdminSplitDateTimeWidget):
    """A date and a time, each with its name for who does not see the two."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


class ListAdmin(ModelAdmin):
    """A page of rows, however many there are: nothing counts a whole table."""

    formfield_overrides: Any = {
        DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": MomentWidget}
    }
    paginator: Any = EstimatedPaginator
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters that would ask for a secret or a digest letter by letter: `digest__startswith`."""
        for name in lookup.split(LOOKUP_SEP):
            if name in SECRET_FIELDS or name.endswith(DIGESTS):
                return False
        return bool(super().lookup_allowed(lookup, value, request))

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return the fields; amounts that are only read are in dollars."""
        fieldsets: list[Any] = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        shown = []
        for title, options in fieldsets:
            fields = [_in_dollars(field) if _is_amount(field) else field for field in options["fields"]]
            shown.append((title, {**options, "fields": fields}))
        return shown


class OperatorAdmin(ListAdmin):
    """A page of rows that operators change. Each change has a reason and an entry in the audit log."""

    form = OperatorForm

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return the fields; the reason comes last, if the operator may send the form."""
        fieldsets = []
        for name, options in super().get_fieldsets(request, obj):
            fields = [field for field in options["fields"] if field != "why"]
            fieldsets.append((name, {**options, "fields": fields}))
        may_send = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        if may_send:
            fieldsets.append((None, {"fields": ["why"]}))
        return fieldsets

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save, and write the change into the audit log, in the same transaction."""
        super().save_related(request, form, formsets, change)
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        for name in form.changed_data:
            if name in SECRET_FIELDS:
                continue
            after[name] = _loggable(form.cleaned_data.get(name))
            if change:
                before[name] = _loggable(form.initial.get(name))
        for formset in formsets:
            after |= _inline_changes(formset)
        self.admin_site.record(
            request,
            action="change" if change else "add",
            row=form.instance,
            reason=form.cleaned_data["why"],
            before=before,
            after=after,
        )


class DescribedRow:
    """A row's page that shows how the row is above the form that changes it.

    `change_form_before_template` shows what `describe_row` returns, under the name `described_as`.
    """

    described_as = ""

    def describe_row(self, request: HttpRequest, row: Any) -> object:
        """Return what the template shows of a row."""
        raise NotImplementedError

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Add the description to the page."""
        page: Any = super()
        row = page.get_object(request, object_id)
        described = self.describe_row(request, row) if row else None
        context = {**(extra_context or {}), self.described_as: described}
        response: HttpResponse = page.change_view(request, object_id, form_url, context)
        return response


def _is_amount(field: object) -> bool:
    return isinstance(field, str) and field.endswith(NANOUSD)


def _in_dollars(name: str) -> Callable[[Model], str]:
    """Return what a row's page shows of an amount."""

    @admin.display(description=name.removesuffix(NANOUSD).replace("_", " "))
    def amount(row: Model) -> str:
        nanousd = getattr(row, name)
        return "-" if nanousd is None else usd(nanousd)

    amount.__name__ = name  # Django finds the field's help by it
    return amount


def _inline_changes(formset: Any) -> dict[str, list[str]]:
    """Return, as `memberships added` → names, which rows of an inline table were changed."""
    rows = {
        "added": formset.new_objects,
        "changed": [row for row, _ in formset.changed_objects],
        "removed": formset.deleted_objects,
    }
    return {f"{formset.prefix} {verb}": list(map(str, changed)) for verb, changed in rows.items() if changed}


@dataclass(frozen=True)
class Confirmation:
    """What an action's page shows and asks before it does anything."""

    title: str
    effect: str
    done: str
    reader: str = ""
    types_name: bool = False
    is_danger: bool = False

    def form(self, request: HttpRequest, rows: Sequence[Model]) -> "ConfirmForm":
        """Return the form, bound once the operator sent it."""
        form = ConfirmForm(request.POST if "confirmed" in request.POST else None)
        form.fields["why"].help_text = f"Recorded in the audit log with your name{self.reader}."
        if self.types_name:
            form.name = str(rows[0])
            form.fields["confirm"] = forms.CharField(
                label=f"Type {form.name} to confirm",
                widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "spellcheck": "false"}),
            )
        return form


class ConfirmForm(forms.Form):
    """The reason; and the row's name, for an action that can't be undone."""

    why = ReasonField()
    name = ""

    def clean_confirm(self) -> str:
        """Refuse another name."""
        typed = str(self.cleaned_data["confirm"]).strip()
        if typed != self.name:
            raise forms.ValidationError(f"The name doesn't match. Type {self.name}.")
        return typed


type Action = Callable[[Any, HttpRequest, Any, str], None]


def operator_action(
    title: str,
    *,
    effect: str,
    done: str,
    permissions: Sequence[str],
    reader: str = "",
    types_name: bool = False,
    is_danger: bool = False,
) -> Callable[[Action], Any]:
    """Make a console action of a method that changes one row: `(self, request, row, reason)`.

    A page shows the effect first, and asks for confirmation and a reason; its button is red if the action
    takes something from people. Then each row has its own transaction, with its entry in the audit log. A
    DomainError is shown, and the other rows are still done. A form elsewhere names in `next` the page that
    the operator returns to; otherwise that is the list.
    """
    page = Confirmation(title, effect, done, reader, types_name, is_danger)

    def decorate(action: Action) -> Any:
        @admin.action(description=title, permissions=permissions)
        @wraps(action)
        def run(self: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
            rows = list(chosen[: MAX_ROWS + 1])
            if len(rows) > MAX_ROWS:
                messages.error(request, f"Nothing was changed. Select at most {MAX_ROWS} at a time.")
                return None
            if types_name and len(rows) != 1:
                messages.error(request, "Nothing was changed. Select only one, because this can't be undone.")
                return None
            form = page.form(request, rows)
            if not form.is_valid():
                return ask_first(
                    self.admin_site, request, page=page, form=form, rows=rows, action=action.__name__
                )
            finished = []
            for row in rows:
                name = str(row)
                if _run_on_row(self, request, action, row, form.cleaned_data["why"]):
                    finished.append((row, name))
            if finished:
                names = _link_rows(finished)
                messages.success(request, format_html("{} ({}): {}.", done, len(finished), names))
            page_after = _page_after(request)
            return redirect(page_after) if page_after else None

        run.is_operator_action = True  # type: ignore[attr-defined]
        return run

    return decorate


def ask_first(
    console: Any,
    request: HttpRequest,
    *,
    page: Confirmation,
    form: ConfirmForm,
    rows: Sequence[Model],
    action: str,
) -> HttpResponse:
    """Answer the page that shows an action's effect on some rows, and asks for confirmation and a reason."""
    context = {
        **console.each_context(request),
        "opts": rows[0]._meta,
        "title": page.title,
        "page": page,
        "form": form,
        "rows": rows,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "page_after": _page_after(request),
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def _page_after(request: HttpRequest) -> str:
    """Return the page of this site that a form names in `next`, or nothing."""
    page = request.POST.get("next", "")
    return page if url_has_allowed_host_and_scheme(page, allowed_hosts=None) else ""


def _link_rows(rows: Sequence[tuple[Model, str]]) -> str:
    """Return the names of a model's rows with links to their pages; an action may have deleted some."""
    model = type(rows[0][0])
    kept = model._default_manager.filter(pk__in=[row.pk for row, _ in rows]).values_list("pk", flat=True)
    kept_keys = set(kept)
    links = []
    for row, name in rows:
        link = name
        if row.pk in kept_keys:
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
            link = format_html('<a href="{}">{}</a>', address, name)
        links.append((link,))
    return format_html_join(", ", "{}", links)


def _run_on_row(model_admin: Any, request: HttpRequest, action: Action, row: Model, reason: str) -> bool:
    """Change one row and record it; return False after showing why it can't be done."""
    name = str(row)
    key = row.pk
    before = _field_values(row)
    try:
        with transaction.atomic():
            action(model_admin, request, row, reason)
            changed_row = type(row)._default_manager.filter(pk=key).first()
            after = _field_values(changed_row) if changed_row else {}
            changed = [field for field in before if before[field] != after.get(field)]
            row.pk = key  # a deleted row has lost it
            model_admin.admin_site.record(
                request,
                action=action.__name__,
                row=row,
                name=name,
                reason=reason,
                before={field: before[field] for field in changed},
                after={field: after[field] for field in changed if field in after},
            )
    except DomainError as error:
        messages.warning(request, f"{name}: {error.message}")
        return False
    return True


def _field_values(row: Model) -> dict[str, object]:
    fields = [field for field in row._meta.concrete_fields if field.name not in SECRET_FIELDS]
    return {field.name: _loggable(field.value_from_object(row)) for field in fields}


def _loggable(value: object) -> object:
    """Return a value that JSON can hold, shortened for the audit log."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, QuerySet | list):
        return [str(item)[:MAX_VALUE] for item in value][:MAX_ROWS]
    return str(value)[:MAX_VALUE]
