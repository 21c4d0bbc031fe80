"""How much of a text is in quotation marks: speech, or other people's words."""

import re
from collections.abc import Iterable

from training.reading.drafts import Paragraph
from training.text.words import count_words

# Each from an opening mark to the next closing one: “English”, „German“, «French», »German«, "typed",
# 「Japanese」. Single marks are left out: they are apostrophes, too.
QUOTATION = re.compile(r"“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«|\"[^\"]*\"|「[^「」]*」|『[^『』]*』")


def quotation_share(paragraphs: Iterable[Paragraph], words: int) -> float:
    """Return which share of all words is in quotation marks or marked as a quotation, 0 to 1."""
    quoted = 0
    for paragraph in paragraphs:
        if paragraph.is_quoted:
            quoted += count_words(paragraph.text)
        else:
            quoted += sum(map(count_words, QUOTATION.findall(paragraph.text)))
    return round(quoted / words, 3) if words else 0.0
