"""Code words in sentences: what stands between backticks is an element on a page, and plain for programs."""

import re

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

MARKED = re.compile(r"`([^`\s](?:[^`\n]*[^`\s])?)`")


def mark_code(text: object) -> SafeString:
    """Return a text as HTML: escaped, with each word between backticks as code."""
    # Escaping leaves backticks alone and adds none, so what is found in the escaped text is safe.
    escaped = conditional_escape(str(text))
    return mark_safe(MARKED.sub(r"<code>\1</code>", escaped))  # noqa: S308 - escaped above
