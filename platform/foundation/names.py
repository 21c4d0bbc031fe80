"""Names that people give: what they may not contain, because it would make them look like others."""

import unicodedata

from django.core.exceptions import ValidationError
from django.utils.text import slugify

# Control, format (zero-width and bidirectional marks), private, surrogate, unassigned; breaks of lines.
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}

# What reads as the product, its operators or an address of it, in a name or in `model=`.
WORDS = """
about abuse account accounts admin administrator anonymous anthropic api app assets auth base
billing blog console contact dashboard docs help house info internal invoices keys legal login
logout mail mailbox me metrics moderator new no-reply noreply null official openai operator
operators owner payments playground polyscribe postmaster pricing privacy root sales security
settings signup staff static status studio styles support system team terms undefined usage user
users v1 versions webmaster www
"""
RESERVED = frozenset(WORDS.split())
PRODUCT = "polyscribe"


def validate_name(name: str) -> None:
    """Raise ValidationError for a name with marks that can't be seen, or that turn its direction."""
    if any(unicodedata.category(character) in HIDDEN for character in name):
        raise ValidationError(
            "A name can't contain invisible characters: control, zero-width or bidirectional marks. "
            "Type it again instead of pasting it.",
            code="hidden_characters",
        )


def is_reserved(name: str) -> bool:
    """Return whether a name, or its form in addresses, is one that only the product itself may have."""
    slug = slugify(name)
    return slug in RESERVED or PRODUCT in slug.replace("-", "")
