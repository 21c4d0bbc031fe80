"""How much of a text stands in quotation marks."""

import re
from collections.abc import Iterable

# “English”, „German“, «French», »German«, "typed", 「Japanese」 and lines that a mail quotes. No quotation is
# longer than its paragraph, nor has it another opening mark: a text of opening marks alone would take hours.
# Single marks are left out: they are apostrophes too.
QUOTATION = re.compile(
    r"“[^“”\n]*”|„[^„“”\n]*[“”]|«[^«»\n]*»|»[^«»\n]*«|\"[^\"\n]*\"|「[^「」\n]*」|『[^『』\n]*』|^>.*$",
    re.MULTILINE,
)


def quotation_share(texts: Iterable[str]) -> float:
    """Return which share of all characters stands in quotation marks, between 0 and 1."""
    characters = 0
    quoted = 0
    for text in texts:
        characters += len(text)
        quoted += sum(len(match) for match in QUOTATION.findall(text))
    return round(quoted / characters, 3) if characters else 0.0
