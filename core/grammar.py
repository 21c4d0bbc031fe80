"""Words that join others, in the reader's language."""

from collections.abc import Iterable

from django.utils.translation import get_language, gettext


def join_and(parts: Iterable[str]) -> str:
    """Return a list as people say it: "a, b and c"."""
    *first, last = parts
    if not first:
        return last
    return gettext("{first} and {last}").format(first=", ".join(first), last=last)


def within_sentence(label: str) -> str:
    """Return a label as it stands within a sentence: only English writes it without its capital."""
    is_english = (get_language() or "en").startswith("en")
    return label[:1].lower() + label[1:] if is_english else label
