"""What support does for one workspace: raise a limit for some time, and note what was agreed."""

# mypy: disallow-subclassing-any=False

from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from core.console import OperatorAdmin, OperatorForm, operator_action
from core.errors import DomainError
from tenants.accounts import raised_limits
from tenants.admin.permissions import Immutable
from tenants.models import RaisedLimit, User, WorkspaceNote


class RaisedLimitForm(OperatorForm):
    """Which limit, how many, and until when."""

    def clean(self) -> dict[str, Any]:
        """Refuse what would raise nothing, too much or for too long."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"tenant", "limit", "amount", "ends_at"} <= cleaned.keys():
            try:
                raised_limits.require_raise(
                    cleaned["tenant"],
                    cleaned["limit"],
                    cleaned["amount"],
                    ends_at=cleaned["ends_at"],
                    now=timezone.now(),
                )
            except DomainError as error:
                self.add_error(str(error.facts["field"]), error.message)
        return cleaned


@admin.register(RaisedLimit)
class RaisedLimitAdmin(Immutable, OperatorAdmin):
    form = RaisedLimitForm
    list_display = ["tenant", "limit", "amount", "starts_at", "ends_at", "actor", "reason"]
    list_filter = ["limit"]
    list_select_related = ["tenant", "actor"]
    search_fields = ["tenant__slug", "tenant__name"]
    autocomplete_fields = ["tenant"]
    ordering = ["-pk"]
    actions = ["end_now"]

    def get_fields(self, request: HttpRequest, obj: RaisedLimit | None = None) -> list[str]:
        """Ask for what an operator decides; show all of a row."""
        asked = ["tenant", "limit", "amount", "ends_at"]
        return asked if obj is None else [*asked, "starts_at", "actor", "reason"]

    def save_model(self, request: HttpRequest, obj: RaisedLimit, form: Any, change: bool) -> None:
        """Raise the limit, and take the new row over into the console's own object."""
        raised = raised_limits.raise_limit(
            obj.tenant,
            obj.limit,
            obj.amount,
            ends_at=obj.ends_at,
            actor=cast(User, request.user),
            reason=form.cleaned_data["why"],
        )
        obj.pk = raised.pk

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.change_raisedlimit")

    @operator_action(
        "End now",
        effect="The plan's limit applies again immediately.",
        done="Ended",
        permissions=["end"],
    )
    def end_now(self, request: HttpRequest, raised: RaisedLimit, reason: str) -> None:
        raised_limits.end_raised_limit(raised)


class NoteForm(OperatorForm):
    """A note is its own reason."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["why"].required = False

    def clean(self) -> dict[str, Any]:
        """Leave the reason empty."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        return {**cleaned, "why": ""}


@admin.register(WorkspaceNote)
class WorkspaceNoteAdmin(Immutable, OperatorAdmin):
    form = NoteForm
    unlogged_fields = ["text"]  # the log would keep it when the note is gone
    list_display = ["created_at", "tenant", "author", "text"]
    list_select_related = ["tenant", "author"]
    search_fields = ["tenant__slug", "tenant__name"]
    autocomplete_fields = ["tenant"]
    ordering = ["-pk"]

    def get_fields(self, request: HttpRequest, obj: WorkspaceNote | None = None) -> list[str]:
        """Ask for the text; show who wrote it and when."""
        return ["tenant", "text"] if obj is None else ["tenant", "text", "author", "created_at"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields without a reason."""
        return [(None, {"fields": self.get_fields(request, obj)})]

    def save_model(self, request: HttpRequest, obj: WorkspaceNote, form: Any, change: bool) -> None:
        """Save the note with its author."""
        obj.author = cast(User, request.user)
        super().save_model(request, obj, form, change)
