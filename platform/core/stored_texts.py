"""Sentences that were stored in English, in the language of the person who reads them.

What a worker notes of an upload, or an endpoint's last failure, is written once and read by people of
several languages. It is stored in English, and translated when a page shows it: the catalogue's messages
say which words of it are facts.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from string import Formatter

from django.utils.formats import number_format
from django.utils.translation import get_language, gettext
from django.utils.translation.trans_real import translation

MIN_LITERALS = 9  # characters of a message besides its facts: "{first} and {last}" would fit everything
MAX_DEPTH = 3  # of a sentence within a sentence
MAX_CHARACTERS = 2_000
NUMBER = re.compile(r"\d{1,3}(,\d{3})+")  # with English commas


@dataclass
class MessageForm:
    """A message with facts, as the literals around the names of its facts.

    Not a regular expression: facts hold what people wrote, and five of `.+?` can be made to backtrack for
    minutes. This looks at each place of a text once.
    """

    message: str
    literals: list[str] = field(default_factory=lambda: [""])
    names: list[str] = field(default_factory=list)

    def read_facts(self, text: str) -> dict[str, str] | None:
        """Return the facts of a text that has this form, each as short as it can be, else None."""
        if not (text.startswith(self.literals[0]) and text.endswith(self.literals[-1])):
            return None
        facts: dict[str, str] = {}
        begins = len(self.literals[0])
        last_ends = len(text) - len(self.literals[-1])
        for number, (name, literal) in enumerate(zip(self.names, self.literals[1:], strict=True), 1):
            is_last = number == len(self.names)
            ends = last_ends if is_last else text.find(literal, begins + 1)
            if ends <= begins or facts.setdefault(name, text[begins:ends]) != text[begins:ends]:
                return None
            begins = ends + len(literal)
        return facts


def translate_stored(text: str, depth: int = 0) -> str:
    """Return a stored sentence in the active language; in English if the catalogue does not have it."""
    language = get_language() or "en"
    if not text or language.startswith("en") or len(text) > MAX_CHARACTERS:
        return text
    if NUMBER.fullmatch(text):
        return number_format(int(text.replace(",", "")), force_grouping=True)
    said = gettext(text)
    if said != text or depth == MAX_DEPTH:
        return said
    for form in _forms(language):
        facts = form.read_facts(text)
        if facts:
            translated = {name: translate_stored(fact, depth + 1) for name, fact in facts.items()}
            return _without_formats(gettext(form.message)).format(**translated)
    return text


@lru_cache
def _forms(language: str) -> list[MessageForm]:
    """Return the forms of all messages with facts, the wordiest first."""
    found = []
    catalog = translation(language)._catalog  # type: ignore[attr-defined]  # Django gives it to its own JavaScriptCatalog as well
    for message in catalog.keys():  # noqa: SIM118  it is no dict: iterating over it fails
        if isinstance(message, str) and "{" in message:
            form = _form(message)
            if form and len("".join(form.literals)) >= MIN_LITERALS:
                found.append(form)
    found.sort(key=lambda form: -len("".join(form.literals)))
    return found


def _form(message: str) -> MessageForm | None:
    """Return a message's form; None if it has no facts, or is no format."""
    form = MessageForm(message)
    try:
        pieces = list(Formatter().parse(message))
    except ValueError:
        return None
    for literal, name, _, _ in pieces:
        form.literals[-1] += literal
        if name is None:
            continue
        if not name.isidentifier():
            return None
        form.names.append(name)
        form.literals.append("")
    return form if form.names else None


def _without_formats(message: str) -> str:
    """Return a message whose facts are texts already: `{count:,}` becomes `{count}`."""
    return re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", message)
