"""The form of the page that checks a text."""

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from provenance.checks import ENOUGH_WORDS, MAX_CHARACTERS, USUALLY_FOUND_WORDS
from provenance.receipts import MAX_CHARACTERS as MAX_RECEIPT_CHARACTERS


class VerifyForm(forms.Form):
    """A text, a receipt, or both."""

    text = forms.CharField(
        label=_("Text"),
        required=False,
        strip=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "serif", "dir": "auto"}),
        help_text=format_lazy(
            _(
                "A watermark is usually found in {usually} words or more. If there is none, it takes about "
                "{enough} words to be sure."
            ),
            usually=USUALLY_FOUND_WORDS,
            enough=ENOUGH_WORDS,
        ),
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
