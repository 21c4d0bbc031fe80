"""What the operators' console is made of: whoever changes something says why, and it is written down.

Every page that changes rows is an `OperatorAdmin`; every action is an `operator_action`. The console itself
(config/console.py) writes the audit log, so that no floor depends on another one's.
"""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from foundation.errors import DomainError

MAX_ROWS = 100  # of one action: more than a person can look through
MAX_REASON = 300  # characters
MAX_VALUE = 300  # characters of one value in the audit log
SECRET = {"password", "password1", "password2", "usable_password", "digest", "data"}


class ReasonField(forms.CharField):
    """Why something is done. It is no change by itself."""

    def __init__(self, **options: Any) -> None:
        usual = {
            "label": "Why",
            "max_length": MAX_REASON,
            "help_text": "Written into the audit log, with your name.",
            "widget": UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        }
        super().__init__(**{**usual, **options})

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return False: the row has no such field."""
        return False


class OperatorForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of the console; it asks why."""

    why = ReasonField()


class OperatorAdmin(ModelAdmin):
    """Rows that operators change: each change has a reason and an entry in the audit log."""

    form = OperatorForm

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return the fields, and last the reason, where the form can be sent."""
        shown = [
            (name, {**options, "fields": [field for field in options["fields"] if field != "why"]})
            for name, options in super().get_fieldsets(request, obj)
        ]
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return [*shown, ("Why", {"fields": ["why"]})] if may else shown

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save, and write what was changed into the audit log, in the same transaction."""
        super().save_related(request, form, formsets, change)
        names = [name for name in form.changed_data if name not in SECRET]
        before = {name: _told(form.initial.get(name)) for name in names} if change else {}
        after = {name: _told(form.cleaned_data.get(name)) for name in names}
        for formset in formsets:
            rows = {
                "added": [str(row) for row in formset.new_objects],
                "changed": [str(row) for row, _fields in formset.changed_objects],
                "removed": [str(row) for row in formset.deleted_objects],
            }
            after |= {f"{formset.prefix} {verb}": names for verb, names in rows.items() if names}
        self.admin_site.record(
            request,
            action="change" if change else "add",
            row=form.instance,
            reason=form.cleaned_data["why"],
            before=before,
            after=after,
        )


@dataclass(frozen=True)
class Confirmation:
    """What an action's page asks before anything is done."""

    title: str
    effect: str
    done: str
    reader: str
    types_name: bool

    def form(self, request: HttpRequest, rows: Sequence[Model]) -> "ConfirmForm":
        """Return the form, bound once it was sent."""
        form = ConfirmForm(request.POST if "confirmed" in request.POST else None)
        form.fields["why"].help_text = f"Written into the audit log, with your name{self.reader}."
        if self.types_name:
            form.name = str(rows[0])
            form.fields["confirm"] = forms.CharField(
                label=f"Type {form.name} to go on",
                widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "spellcheck": "false"}),
            )
        return form


class ConfirmForm(forms.Form):
    """Why; and, for what can't be undone, the name of the thing."""

    why = ReasonField()
    name = ""

    def clean_confirm(self) -> str:
        """Refuse another name."""
        typed = str(self.cleaned_data["confirm"]).strip()
        if typed != self.name:
            raise forms.ValidationError(f"That is not its name. Type {self.name}.")
        return typed


type Act = Callable[[Any, HttpRequest, Any, str], None]


def operator_action(
    title: str,
    *,
    effect: str,
    done: str,
    permissions: Sequence[str],
    reader: str = "",
    types_name: bool = False,
) -> Callable[[Act], Any]:
    """Make a console action of a method that does something to one row: `(self, request, row, reason)`.

    A page asks for confirmation and a reason first, and tells the effect. Then each row is done by itself,
    with its entry in the audit log; a DomainError is shown, and the rows after it are still done.
    """
    page = Confirmation(title, effect, done, reader, types_name)

    def action_of(act: Act) -> Any:
        @admin.action(description=title, permissions=permissions)
        @wraps(act)
        def run(self: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
            rows = list(chosen[: MAX_ROWS + 1])
            if len(rows) > MAX_ROWS:
                messages.error(request, f"Nothing was done: choose at most {MAX_ROWS} at a time.")
                return None
            if types_name and len(rows) != 1:
                messages.error(request, "Nothing was done: choose one, this can't be undone.")
                return None
            form = page.form(request, rows)
            if not form.is_valid():
                return _ask(self, request, page=page, form=form, rows=rows, action=act.__name__)
            reason = form.cleaned_data["why"]
            names = [_do(self, request, act, row, reason) for row in rows]
            finished = [name for name in names if name]
            if finished:
                messages.success(request, f"{done} ({len(finished)}): {', '.join(finished)}.")
            return None

        run.is_operator_action = True  # type: ignore[attr-defined]
        return run

    return action_of


def _ask(
    model_admin: Any,
    request: HttpRequest,
    *,
    page: Confirmation,
    form: ConfirmForm,
    rows: list[Any],
    action: str,
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": page.title,
        "page": page,
        "form": form,
        "rows": rows,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def _do(model_admin: Any, request: HttpRequest, act: Act, row: Model, reason: str) -> str:
    """Do it to one row and return the row's name, or an empty text after saying why it can't be done."""
    name, key, before = str(row), row.pk, _facts(row)
    try:
        with transaction.atomic():
            act(model_admin, request, row, reason)
            now = type(row)._default_manager.filter(pk=key).first()
            after = _facts(now) if now else {}
            changed = [field for field in before if before[field] != after.get(field)]
            row.pk = key  # a deleted row has lost it
            model_admin.admin_site.record(
                request,
                action=act.__name__,
                row=row,
                name=name,
                reason=reason,
                before={field: before[field] for field in changed},
                after={field: after[field] for field in changed if field in after},
            )
    except DomainError as error:
        messages.warning(request, f"{name}: {error.message}")
        return ""
    return name


def _facts(row: Model) -> dict[str, Any]:
    fields = [field for field in row._meta.concrete_fields if field.name not in SECRET]
    return {field.name: _told(field.value_from_object(row)) for field in fields}


def _told(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, QuerySet | list):
        return [str(item)[:MAX_VALUE] for item in value][:MAX_ROWS]
    return str(value)[:MAX_VALUE]
