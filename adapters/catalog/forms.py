"""Forms: what an owner says about a style, and with whom it is shared."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.catalog.price_changes import first_day_possible
from adapters.catalog.style_fields import (
    LANGUAGES,
    SAMPLING,
    Faults,
    bound_fields,
    is_bound_by_offer,
    parse_tags,
    word_faults,
)
from adapters.catalog.terms import MAX_PERCENT, Terms, asked_terms
from adapters.models import WORDS_CHARACTERS, Style
from metering.forms import PriceField
from metering.models import TokenPrices

# Common terms and where they are written out. Other terms are written by hand.
LICENCES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
}
OWN_TERMS = "own"
# Django's catalogues have the names of languages.
NAMED_LANGUAGES = [(code, _(name)) for code, name in sorted(LANGUAGES.items(), key=lambda item: item[1])]
LANGUAGE_CHOICES = [("", _("not specified")), *NAMED_LANGUAGES]
LICENCE_CHOICES = [
    ("", _("not chosen yet")),
    *((name, name) for name in LICENCES),
    (OWN_TERMS, _("custom terms (below)")),
]


class AboutForm(forms.Form):
    """What everybody who sees a style reads about it."""

    name = forms.CharField(label=_("Name"), max_length=WORDS_CHARACTERS["name"])
    author = forms.CharField(
        label=_("Author"),
        max_length=WORDS_CHARACTERS["author"],
        required=False,
        help_text=_("Who trained the style. Shown publicly."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=WORDS_CHARACTERS["description"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    sample_prompt = forms.CharField(
        label=_("Sample prompt"),
        max_length=WORDS_CHARACTERS["sample_prompt"],
        required=False,
        help_text=_("The prompt behind the style's sample. Changing it creates a new sample."),
    )
    language = forms.ChoiceField(
        label=_("Language"),
        choices=LANGUAGE_CHOICES,
        required=False,
        help_text=_("The language the style writes in."),
    )
    tags = forms.CharField(
        label=_("Tags"),
        max_length=300,
        required=False,
        help_text=_("What the style is for, separated by commas: letters, sales."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
    )
    licence = forms.ChoiceField(
        label=_("Licence"),
        choices=LICENCE_CHOICES,
        required=False,
        help_text=_("The terms under which others may use the style."),
    )
    terms = forms.CharField(
        max_length=WORDS_CHARACTERS["licence"],
        required=False,
        label=_("Custom terms"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Only if you chose “custom terms” above."),
    )

    temperature = forms.FloatField(
        label=_("Default temperature"),
        required=False,
        help_text=_("For requests that send none. Higher values vary more."),
    )
    top_p = forms.FloatField(
        label=_("Default top p"),
        required=False,
        help_text=_("For requests that send none. Lower values leave unlikely words out."),
    )

    def __init__(self, data: Any = None, *, style: Style) -> None:
        initial = {
            "name": style.name,
            "author": style.author,
            "description": style.description,
            "sample_prompt": style.sample_prompt,
            "language": style.language,
            "tags": ", ".join(style.tags),
            "licence": style.licence,
            "temperature": style.temperature,
            "top_p": style.top_p,
        }
        if style.licence and style.licence not in LICENCES:
            initial |= {"licence": OWN_TERMS, "terms": style.licence}
        super().__init__(data, initial=initial)
        self.owner = style.owner
        self.is_bound_by_offer = is_bound_by_offer(style)
        for field, default in (("temperature", settings.STYLE_TEMPERATURE), ("top_p", settings.STYLE_TOP_P)):
            least, most = SAMPLING[field]
            self.fields[field].widget.attrs |= {
                "min": least,
                "max": most,
                "step": "any",
                "placeholder": number_format(default),
            }
        bound = bound_fields(style)
        for field in bound:
            self.fields[field].disabled = True
        self.fields["terms"].disabled = "licence" in bound

    def clean(self) -> dict[str, Any]:
        """Ask for the terms where own ones were chosen, and refuse words that mislead."""
        given = super().clean() or {}
        if given.get("licence") == OWN_TERMS and not given.get("terms"):
            self.add_error("terms", gettext("Enter the terms, or choose one of the licences above."))
        words = {field: text for field, text in given.items() if field != "terms"}
        words["tags"] = parse_tags(str(given.get("tags", "")))
        self.add_faults(word_faults(self.owner, words))
        terms = word_faults(self.owner, {"licence": str(given.get("terms", ""))})
        self.add_faults({"terms": terms.get("licence", [])})
        return given

    def add_faults(self, faults: Faults) -> None:
        """Show each fault beside its field."""
        for field, sentences in faults.items():
            for sentence in sentences:
                self.add_error(field, sentence)

    def texts(self) -> dict[str, Any]:
        """Return the style's fields as they were filled in."""
        texts = dict(self.cleaned_data)
        texts["tags"] = parse_tags(texts["tags"])
        terms = texts.pop("terms")
        if texts["licence"] == OWN_TERMS:
            texts["licence"] = terms
        return texts


class DayInput(forms.DateInput):
    """A browser's own field for days."""

    input_type = "date"


class OfferForm(forms.Form):
    """What an owner asks for with an offer: prices of the style's own, and a share of what others pay."""

    input_nanousd = PriceField(label=_("Input, per million tokens"), required=False)
    cached_input_nanousd = PriceField(label=_("Cached input, per million tokens"), required=False)
    output_nanousd = PriceField(label=_("Output, per million tokens"), required=False)
    author_percent = forms.IntegerField(
        label=_("Your share, %"),
        required=False,
        min_value=0,
        max_value=MAX_PERCENT,
        help_text=_("Your share of what others pay to use the style, paid out in credits."),
        widget=forms.NumberInput({"inputmode": "numeric"}),
    )

    def __init__(self, data: Any = None, *, style: Style) -> None:
        asked = asked_terms(style)
        super().__init__(data, initial={**asked.columns, "author_percent": asked.author_percent or None})

    def clean(self) -> dict[str, Any]:
        """Ask for all three prices or none."""
        given = super().clean() or {}
        missing = [
            name for name in TokenPrices._fields if given.get(name) is None and name not in self.errors
        ]
        if len(missing) < len(TokenPrices._fields):
            for name in missing:
                self.add_error(
                    name, gettext("Enter all three prices, or leave them empty to charge the standard price.")
                )
        return given

    def terms(self) -> Terms:
        """Return what was filled in."""
        given = self.cleaned_data
        prices = TokenPrices.of(*(given[name] for name in TokenPrices._fields))
        return Terms(prices, given["author_percent"] or 0)


class PriceForm(OfferForm):
    """What an owner asks for of a style that is public, and from which day on."""

    first_day = forms.DateField(
        label=_("From"), help_text=_("A date in UTC."), widget=DayInput(format="%Y-%m-%d")
    )

    def __init__(self, data: Any = None, *, style: Style) -> None:
        super().__init__(data, style=style)
        earliest = first_day_possible(timezone.now())
        self.initial["first_day"] = earliest
        self.fields["first_day"].widget.attrs["min"] = earliest.isoformat()


class ShareForm(forms.Form):
    """With whom a style is to be shared."""

    workspace = forms.CharField(
        max_length=80,  # as long as a workspace's name may be
        label=_("Workspace"),
        help_text=_(
            "The workspace's name, or its short name: the part before the slash in its model names, such as "
            "riverside."
        ),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "placeholder": "riverside",
            }
        ),
    )
