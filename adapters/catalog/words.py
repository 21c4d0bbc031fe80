"""Words: what an owner says about a style, and what is wrong with it, a sentence for each fault.

The pages' forms, uploads and the API ask the same questions here.
"""

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from adapters.models import Style
from foundation.names import reads_as_product, validate_name, validate_text
from tenants.public import Tenant

# As wide as the columns of Style; the licence is bounded, too, though its column is a text.
WORDS_CHARACTERS = {
    "name": 60,
    "author": 100,
    "description": 300,
    "sample_prompt": 300,
    "sample": 500,
    "licence": 4000,
}
NAMES = ("name", "author")
# Operators approve them with an offer, and others rely on them.
BOUND_BY_OFFER = ("author", "licence")
PRODUCT_FAULTS = {
    "name": "That name reads as Polyscribe's own. Choose another one.",
    "author": "That reads as Polyscribe itself. Say who trained it.",
}
BOUND_FAULT = (
    "Operators approve author and licence with an offer. Withdraw the offer, or take the style out of the "
    "catalogue, to change them."
)

type Faults = dict[str, list[str]]


def word_faults(owner: Tenant, words: Mapping[str, str]) -> Faults:
    """Return what is wrong with some words of a style, by field. Fields that are not given have no fault."""
    faults: Faults = {}
    for field, text in words.items():
        fault = _length_fault(field, text) or _hidden_character_fault(field, text)
        if field in NAMES and reads_as_product(text) and not owner.is_first_party:
            fault = PRODUCT_FAULTS[field]
        if fault:
            faults[field] = [fault]
    return faults


def edit_faults(style: Style, words: Mapping[str, str]) -> Faults:
    """Return what is wrong with new words for a style, also that some of them must not change now."""
    faults = word_faults(style.owner, words)
    if words.get("name") == "":
        faults["name"] = ["Give the style a name, for example Brand voice."]
    for field in BOUND_BY_OFFER:
        is_changed = words.get(field, getattr(style, field)) != getattr(style, field)
        if is_changed and is_bound_by_offer(style):
            faults[field] = [BOUND_FAULT]
    return faults


def is_bound_by_offer(style: Style) -> bool:
    """Return whether a style is public or waits for approval."""
    return style.is_public or style.offered_at is not None


def _length_fault(field: str, text: str) -> str:
    limit = WORDS_CHARACTERS[field]
    return f"At most {limit} characters; this has {len(text)}." if len(text) > limit else ""


def _hidden_character_fault(field: str, text: str) -> str:
    """Return why a text has characters that make it look like another one, or ""."""
    validate = validate_name if field in NAMES else validate_text
    try:
        validate(text)
    except ValidationError as error:
        return str(error.message)
    return ""
