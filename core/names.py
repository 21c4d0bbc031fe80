"""What names that people choose must not contain, because it would make them look like other names."""

import json
import unicodedata
from functools import cache
from importlib.resources import files
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext

# Ids of rows as programs know them: a prefix and 32 hexadecimal digits, such as `conv_8a4d…`.


def read_id(written: str, prefix: str) -> UUID | None:
    """Return the key of a row that programs know with a prefix; None if it can't be one."""
    digits = written.removeprefix(prefix)
    is_hex = len(digits) == 32 and digits.isascii() and digits.isalnum() and digits == digits.lower()
    if digits == written or not is_hex:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None


# Unicode categories: control, format (zero-width and bidirectional marks), private, surrogate, unassigned,
# line and paragraph breaks.
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}

# Marks, embeddings, overrides and isolates: they also turn the text around them.
BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Names that read as the product, its operators or one of its addresses, also in `model=`.
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

# What stands for a letter in a name that imitates another one. i, l, 1 and | look alike, too.
LOOKALIKES = str.maketrans("013457|!$@i", "oleastllsal")


def validate_name(name: str) -> None:
    """Raise ValidationError for a name with invisible marks, or marks that turn its direction."""
    if any(unicodedata.category(character) in HIDDEN for character in name):
        raise ValidationError(
            gettext(
                "Remove the invisible characters (control, zero-width or bidirectional marks). They "
                "often come with pasted text."
            ),
            code="hidden_characters",
        )


def validate_text(text: str) -> None:
    """Raise ValidationError for a text with marks that turn its direction. Joiners are allowed."""
    if not BIDIRECTIONAL.isdisjoint(text):
        raise ValidationError(
            gettext("Remove the bidirectional marks. They often come with pasted text."),
            code="bidirectional_marks",
        )


def reads_as_product(name: str) -> bool:
    """Return whether a name contains the product's name, or what looks like it."""
    return _skeleton(PRODUCT) in _skeleton(name)


def is_reserved(name: str) -> bool:
    """Return whether a name, its slug or what it looks like is one that only the product itself may have."""
    return slugify(name) in RESERVED or _skeleton(name) in _reserved_skeletons() or reads_as_product(name)


def _skeleton(name: str) -> str:
    """Return the letters that a name looks like: equal for names that are easily taken for each other.

    As Unicode's UTS 39 does it, cut down to ASCII, which is all that our own names are made of.
    """
    letters = _read_ascii_lookalikes()
    unaccented = unicodedata.normalize("NFKD", name)
    ascii_text = "".join(letters.get(character, character) for character in unaccented)
    shown = ascii_text.casefold().translate(LOOKALIKES)
    return "".join(character for character in shown if character.isalnum())


@cache
def _reserved_skeletons() -> frozenset[str]:
    return frozenset(map(_skeleton, RESERVED))


@cache
def _read_ascii_lookalikes() -> dict[str, str]:
    """Return the ASCII letter that each character of another script looks like, from Unicode's table."""
    table = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text())
    found: dict[str, str] = {}
    for character, similar in table.items():
        for other in similar:
            if not character.isascii() and other["c"].isascii() and other["c"].isalnum():
                found.setdefault(character, other["c"])
    return found
