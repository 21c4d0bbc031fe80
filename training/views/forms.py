"""Forms of trainings."""

from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from training.models.trainings import MAX_EPOCHS

MAX_SLUG = 40


class NameForm(forms.Form):
    """A style's name, and its short name for programs, which is made from the name by default."""

    name = forms.CharField(
        label=_("Name of the style"),
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": _("My voice"), "autocomplete": "off"}),
        error_messages={"required": _("Give the style a name, such as My voice.")},
    )
    slug = forms.CharField(
        label=_("Short name"),
        max_length=MAX_SLUG,
        required=False,
        widget=forms.TextInput(
            attrs={
                "class": "mono",
                "placeholder": "my-voice",
                "autocapitalize": "none",
                "autocomplete": "off",
                "spellcheck": "false",
            }
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Make the short name from the name if it is missing."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("slug"):
            cleaned["slug"] = slugify(cleaned.get("name", ""))[:MAX_SLUG].strip("-")
        return cleaned


class NewTrainingForm(NameForm):
    """The names of a style, and the most passes over its texts, which only a link sets."""

    epochs = forms.IntegerField(required=False, min_value=1, max_value=MAX_EPOCHS, widget=forms.HiddenInput)

    def clean_epochs(self) -> int:
        """Return the most passes over the texts."""
        return self.cleaned_data["epochs"] or MAX_EPOCHS


class StartForm(forms.Form):
    """The consent to a training."""

    rights = forms.BooleanField(
        required=False,
        label=_("These texts are mine, or I have the right to train on them."),
    )
    keeps_documents = forms.BooleanField(
        required=False,
        label=_("Keep my texts after the training, until I delete them."),
    )
