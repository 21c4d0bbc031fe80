"""The form of the page "Notices"."""

from django import forms
from django.utils.translation import gettext_lazy as _

from events.notices.catalog import CHOOSABLE


class NoticesForm(forms.Form):
    """Which kinds of notices a member gets."""

    kinds = forms.MultipleChoiceField(
        label=_("Email me when"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(kind.value, kind.label) for kind in CHOOSABLE],
        error_messages={"invalid_choice": _("Choose from the notifications below.")},
    )
