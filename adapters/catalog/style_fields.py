"""Words: what an owner says about a style, and what is wrong with it, a sentence for each fault.

The pages' forms, uploads and the API ask the same questions here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.models import TAG_CHARACTERS, WORDS_CHARACTERS, Style
from core.names import reads_as_product, validate_name, validate_text
from tenants.models import Tenant

NAME_FIELDS = ("name", "author")
# Operators approve them with an offer, and others rely on them.
BOUND_BY_OFFER = ("author", "licence")
# What a list of styles is narrowed by. Others read these unreviewed, so they are bound by an offer, too.
FACETS = ("tags", "language")
MOST_TAGS = 8
TAG = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{TAG_CHARACTERS - 1}}}")
LANGUAGES = {code: str(info["name"]) for code, info in LANG_INFO.items() if "name" in info}
TAGS_FAULT = format_lazy(
    _("Use at most {count} tags. A tag has up to 30 lowercase letters, digits and hyphens."), count=MOST_TAGS
)
LANGUAGE_FAULT = _("Enter a language code, such as en, de or pt-br.")
PRODUCT_FAULTS = {
    "name": _("This name looks like it belongs to Polyscribe. Choose another one."),
    "author": _("This looks like Polyscribe itself. Say who trained the style."),
}
BOUND_FAULT = _(
    "Author, licence, tags and language are reviewed with an offer. To change them, withdraw the offer "
    "or remove the style from the catalogue."
)

# What requests are drawn with that send none; empty: the installation's default.
SAMPLING = {
    "temperature": settings.LEAST_AND_MOST_TEMPERATURE,
    "top_p": settings.LEAST_AND_MOST_TOP_P,
}

type Faults = dict[str, list[str]]


def parse_tags(text: str) -> list[str]:
    """Return the tags of a line, in their order and each once: words between commas."""
    tags = [tag.strip().lower() for tag in text.split(",")]
    return list(dict.fromkeys(filter(None, tags)))


def word_faults(owner: Tenant, words: Mapping[str, Any]) -> Faults:
    """Return what is wrong with some words of a style, by field. Fields that are not given have no fault."""
    faults = _facet_faults(words) | _sampling_faults(words)
    for field, text in words.items():
        if field in FACETS or field in SAMPLING:
            continue
        fault = _length_fault(field, text) or _hidden_character_fault(field, text)
        if field in NAME_FIELDS and reads_as_product(text) and not owner.is_first_party:
            fault = str(PRODUCT_FAULTS[field])
        if fault:
            faults[field] = [fault]
    return faults


def edit_faults(style: Style, words: Mapping[str, Any]) -> Faults:
    """Return what is wrong with new words for a style, also that some of them must not change now."""
    faults = word_faults(style.owner, words)
    if words.get("name") == "":
        faults["name"] = [gettext("Give the style a name, such as Brand voice.")]
    for field in bound_fields(style):
        is_changed = words.get(field, getattr(style, field)) != getattr(style, field)
        if is_changed:
            faults[field] = [str(BOUND_FAULT)]
    return faults


def bound_fields(style: Style) -> tuple[str, ...]:
    """Return the fields that must not change now, because operators approved them or are about to."""
    if not is_bound_by_offer(style):
        return ()
    return BOUND_BY_OFFER if style.owner.is_first_party else (*BOUND_BY_OFFER, *FACETS)


def is_bound_by_offer(style: Style) -> bool:
    """Return whether a style is public or waits for approval."""
    return style.is_public or style.offered_at is not None


def _length_fault(field: str, text: str) -> str:
    limit = WORDS_CHARACTERS[field]
    return (
        gettext("Use at most {limit} characters; you have {count}.").format(limit=limit, count=len(text))
        if len(text) > limit
        else ""
    )


def _hidden_character_fault(field: str, text: str) -> str:
    """Return why a text has characters that make it look like another one, or ""."""
    validate = validate_name if field in NAME_FIELDS else validate_text
    try:
        validate(text)
    except ValidationError as error:
        return str(error.message)
    return ""


def _facet_faults(words: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    tags: Sequence[str] = words.get("tags", ())
    if len(tags) > MOST_TAGS or not all(TAG.fullmatch(tag) for tag in tags):
        faults["tags"] = [str(TAGS_FAULT)]
    language = words.get("language", "")
    if language and language not in LANGUAGES:
        faults["language"] = [str(LANGUAGE_FAULT)]
    return faults


def _sampling_faults(words: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    for field, (least, most) in SAMPLING.items():
        number = words.get(field)
        if number is not None and not least <= number <= most:
            fault = gettext("Enter a number from {least} to {most}, or leave it empty for the default.")
            faults[field] = [fault.format(least=number_format(least), most=number_format(most))]
    return faults
