"""Sentences that were stored in English, in the language of whoever reads them.

What a worker notes of an upload, or an endpoint's last failure, is written once and read by people of
several languages. It is stored in English, and told again when a page shows it: the catalogue's messages
say which words of it are facts.
"""

import re
from functools import lru_cache
from string import Formatter

from django.utils.translation import get_language, gettext
from django.utils.translation.trans_real import translation

MIN_LITERALS = 9  # characters of a message besides its facts: "{first} and {last}" would fit everything
MAX_DEPTH = 3  # of a sentence within a sentence
MAX_CHARACTERS = 2_000


def translate_stored(text: str, depth: int = 0) -> str:
    """Return a stored sentence in the active language; in English if the catalogue does not have it."""
    language = get_language() or "en"
    if not text or language.startswith("en") or len(text) > MAX_CHARACTERS:
        return text
    said = gettext(text)
    if said != text or depth == MAX_DEPTH:
        return said
    for pattern, message in _patterns(language):
        found = pattern.fullmatch(text)
        if found:
            facts = {name: translate_stored(fact, depth + 1) for name, fact in found.groupdict().items()}
            return _without_formats(gettext(message)).format(**facts)
    return text


@lru_cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Return what each message with facts looks like once it is filled in, the wordiest first."""
    found = []
    catalog = translation(language)._catalog  # type: ignore[attr-defined]  # Django gives it to its own JavaScriptCatalog as well
    for message in catalog.keys():  # noqa: SIM118  it is no dict: iterating over it fails
        if isinstance(message, str) and "{" in message:
            pattern, literals = _pattern(message)
            if pattern and literals >= MIN_LITERALS:
                found.append((literals, pattern, message))
    found.sort(key=lambda one: -one[0])
    return [(pattern, message) for _, pattern, message in found]


def _pattern(message: str) -> tuple[re.Pattern[str] | None, int]:
    """Return a message's pattern and how many characters of it are no facts; None if it has no facts."""
    parts: list[str] = []
    names: set[str] = set()
    literals = 0
    try:
        pieces = list(Formatter().parse(message))
    except ValueError:
        return None, 0
    for literal, name, _, _ in pieces:
        parts.append(re.escape(literal))
        literals += len(literal)
        if name is None:
            continue
        if not name.isidentifier():
            return None, 0
        parts.append(f"(?P={name})" if name in names else f"(?P<{name}>.+?)")
        names.add(name)
    return (re.compile("".join(parts), re.DOTALL) if names else None), literals


def _without_formats(message: str) -> str:
    """Return a message whose facts are texts already: `{count:,}` becomes `{count}`."""
    return re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", message)
