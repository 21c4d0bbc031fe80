"""The form that filters the audit log."""

from typing import Any, cast

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants.audit_words import describe_action


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
