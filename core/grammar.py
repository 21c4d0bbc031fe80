"""Words that join others, in the reader's language."""

import re
from collections.abc import Iterable

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

# Code words in sentences: what stands between backticks is an element on a page, and plain for programs.

MARKED = re.compile(r"`([^`\s](?:[^`\n]*[^`\s])?)`")


def mark_code(text: object) -> SafeString:
    """Return a text as HTML: escaped, with each word between backticks as code."""
    # Escaping leaves backticks alone and adds none, so what is found in the escaped text is safe.
    escaped = conditional_escape(str(text))
    return mark_safe(MARKED.sub(r"<code>\1</code>", escaped))  # noqa: S308 - escaped above


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
