"""The form of the page "Notices"."""

from django import forms

from tenants.notices.catalog import CHOOSABLE


class NoticesForm(forms.Form):
    """Which kinds of notices a member gets."""

    kinds = forms.MultipleChoiceField(
        label="Mail me when",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(kind.value, kind.label) for kind in CHOOSABLE],
        error_messages={"invalid_choice": "Choose among the kinds below: another one was sent."},
    )
