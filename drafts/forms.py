"""What the pages of drafts read."""

from django import forms
from django.utils.translation import gettext_lazy as _

from drafts.actions import MAX_FILE_BYTES
from drafts.models import MAX_CHARACTERS, MAX_MODEL, MAX_TITLE

MAX_PASSAGES = 12  # a continuation takes several requests
MAX_PASSAGE_CHARACTERS = 20_000


class TextForm(forms.Form):
    """What was typed. Without JavaScript, it is what a button sends; with it, what is saved by itself."""

    title = forms.CharField(max_length=MAX_TITLE, required=False)
    text = forms.CharField(max_length=MAX_CHARACTERS, required=False, strip=False)
    revision = forms.IntegerField(min_value=1)
    replaces = forms.BooleanField(required=False)  # a newer text that the person has been told of


class PassageForm(forms.Form):
    """One request's part of an accepted suggestion."""

    request_id = forms.SlugField(max_length=100)
    model = forms.CharField(max_length=MAX_MODEL)
    text = forms.CharField(max_length=MAX_PASSAGE_CHARACTERS, strip=False)


class ImportForm(forms.Form):
    """A file to write on with."""

    file = forms.FileField(
        label=_("File"),
        max_length=MAX_TITLE,
        error_messages={"required": _("Choose a file first."), "empty": _("This file is empty.")},
    )

    def clean_file(self) -> object:
        """Refuse a file that is larger than a text could be."""
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE_BYTES:
            raise forms.ValidationError(
                _("A file can have at most 4 MB. Save it without pictures, or divide it.")
            )
        return file
