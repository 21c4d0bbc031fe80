"""Archived months of usage events: where each file is; operators have old months archived."""

# mypy: disallow-subclassing-any=False

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing import archive
from billing.admin.base import dollars_column
from core.console import Level, OperatorAdmin, OperatorForm, mark, operator_action
from tenants.console import NoDelete
from tenants.models import UsageArchive


class ArchiveForm(OperatorForm):
    """Which months are to be archived. It can't be undone, so the month is typed once more."""

    period = forms.ChoiceField(
        label="Up to",
        widget=UnfoldAdminSelectWidget,
        help_text=(
            "Moves the requests of this month and all earlier months to files in the bucket and removes "
            "them from the database. The ledger, invoices and totals are kept. A worker starts within a "
            "minute."
        ),
    )
    confirm = forms.CharField(
        label="Type the month to confirm",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "spellcheck": "false"}),
        help_text="As shown in the list above. The console can't restore archived requests.",
    )

    class Meta:
        model = UsageArchive
        fields = ["period"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields.get("period")
        if isinstance(field, forms.ChoiceField):
            periods = archive.archivable_months(timezone.now())
            field.choices = [(period, period) for period in reversed(periods)]

    def clean(self) -> dict[str, Any]:
        """Refuse another month than the chosen one."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "confirm" in cleaned and cleaned["confirm"].strip() != cleaned.get("period"):
            self.add_error("confirm", "This doesn't match the selected month.")
        return cleaned

    def validate_unique(self) -> None:
        """Allow a month whose archiving broke off: it is requested again."""


@admin.register(UsageArchive)
class UsageArchiveAdmin(NoDelete, OperatorAdmin):
    form = ArchiveForm
    list_display = [
        "period",
        "shown_state",
        "problem",
        "events",
        "tokens",
        "cost",
        "object_key",
        "archived_at",
    ]
    described = ["period", "state", "reason", "problem", "events", "tokens", "cost"]
    shown = [*described, "object_key", "sha256", "begun_at", "archived_at"]
    actions = ["try_again"]
    cost = dollars_column("cost_nanousd", "cost")

    @admin.display(description="state", ordering="state")
    def shown_state(self, row: UsageArchive) -> SafeString:
        state = str(row.get_state_display()).capitalize()
        return mark(state, Level.FAULT if row.problem else Level.NORMAL)

    def get_fields(self, request: HttpRequest, obj: UsageArchive | None = None) -> list[str]:
        """Ask for the month; show all of one that is there."""
        return ["period", "confirm"] if obj is None else self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: UsageArchive | None = None) -> list[str]:
        """Let nothing be edited."""
        return [] if obj is None else self.shown

    def has_change_permission(self, request: HttpRequest, obj: UsageArchive | None = None) -> bool:
        """Let operators with the right act on the list; an archive itself has nothing to edit."""
        return obj is None and bool(super().has_add_permission(request))

    def save_model(self, request: HttpRequest, obj: UsageArchive, form: Any, change: bool) -> None:
        """Request the months, and take the last one's row over into the console's own object."""
        requested = archive.request_archives(obj.period, now=timezone.now(), reason=form.cleaned_data["why"])
        obj.pk = requested.pk
        obj.object_key = requested.object_key

    @operator_action(
        "Archive again",
        effect="Failed archives are retried within a minute, together with all earlier months.",
        done="Requested",
        permissions=["change"],
    )
    def try_again(self, request: HttpRequest, row: UsageArchive, reason: str) -> None:
        archive.request_archives(row.period, now=timezone.now(), reason=reason)
