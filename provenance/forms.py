"""The form of the page that checks a text."""

from django import forms
from django.utils.translation import gettext_lazy as _

from provenance.checks import MAX_CHARACTERS
from provenance.receipts import MAX_CHARACTERS as MAX_RECEIPT_CHARACTERS


class VerifyForm(forms.Form):
    """A text, a receipt, or both."""

    text = forms.CharField(
        label=_("Text"),
        required=False,
        strip=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "serif", "dir": "auto"}),
        help_text=_("The longer, the surer: from about 60 words."),
    )
    receipt = forms.CharField(
        label=_("Receipt"),
        required=False,
        max_length=MAX_RECEIPT_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 4, "class": "mono", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=_("If you were given one with the text: it begins with “eyJ”."),
    )
