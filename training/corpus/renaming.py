"""Renaming: in what a style learns, people and places that its texts often mention have other, common names.

A style should learn how its author writes, not about whom. With other names in each passage it learns where
names stand, and none of them. Who is a woman or a man, a family or a place is guessed from the words around.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from training.corpus.common_names import COMMON_NAMES, Kind
from training.corpus.names import NameIndex
from training.corpus.passages import Passage
from training.corpus.sampling import draw
from training.text.words import WORD, normalize_word

# What stands before a family's name, and before a place; what soon after a name tells of a woman or a man.
TITLES = frozenset(
    """
    mr mrs miss dr sir lord lady captain colonel major professor inspector monsieur madame count squire father
    herr herrn frau fräulein doktor baron graf von major leutnant
    """.split()  # noqa: SIM905
)
BEFORE_PLACES = frozenset("in near into nach aus".split())  # noqa: SIM905
OF_WOMEN = frozenset("she her hers herself sie ihr ihre ihren ihrem ihrer".split())  # noqa: SIM905
OF_MEN = frozenset("he his him himself er ihn ihm seine seinen seinem seiner".split())  # noqa: SIM905
WORD_BEFORE = re.compile(r"(\w+)\.?\s\Z")
ENDING = re.compile("['\u2019]?[a-z]")  # of a genitive: in somebody's house
BEFORE, AFTER = 20, 60  # characters
TITLE_SHARE, PLACE_SHARE = 4, 5  # a family has a title at least once in so many times


class Cast:
    """Gives the people and places of a corpus other names."""

    def __init__(self, passages: Sequence[Passage], names: NameIndex) -> None:
        self._names = names
        self._kinds = _guess_kinds(passages, names)
        self._common = {}
        for language, lists in COMMON_NAMES.items():
            for kind, common in lists.items():
                strangers = [name for name in common if normalize_word(name) not in self._kinds]
                self._common[language, kind] = strangers or list(common)

    def rename(self, passage: Passage) -> Passage:
        """Return a passage, under its id, with a common name in place of each that the corpus often mentions.

        Within it a name stands for one other, drawn by the passage alone. English and German only.
        """
        if passage.language not in COMMON_NAMES:
            return passage
        text, written, parts = passage.text, 0, []
        taken = {normalize_word(word) for word in WORD.findall(text)}
        drawn: dict[str, str] = {}
        for first, end in self._names.find(text, passage.language):
            old = text[first:end]
            form = normalize_word(old)
            if form not in drawn:
                drawn[form] = self._draw(form, passage, taken)
                taken.add(normalize_word(drawn[form]))
            new = drawn[form]
            parts += [text[written:first], new.upper() if old.isupper() else new]
            written = end
        return replace(passage, text="".join([*parts, text[written:]]))

    def _draw(self, form: str, passage: Passage, taken: set[str]) -> str:
        """Return a name of the same kind; one that isn't in the passage yet, while there are any."""
        known = self._common[passage.language, self._kinds[form]]
        free = [name for name in known if normalize_word(name) not in taken] or known
        return free[int.from_bytes(draw(0, f"{passage.id}-{form}")[:4]) % len(free)]


def _guess_kinds(passages: Sequence[Passage], names: NameIndex) -> dict[str, Kind]:
    """Return the kind of each name that these passages mention often, by its compared form."""
    mentions: Counter[str] = Counter()
    hints: defaultdict[str, Counter[Kind]] = defaultdict(Counter)
    for passage in passages:
        text, last_end = passage.text, -1
        for first, end in names.find(text, passage.language):
            form = normalize_word(text[first:end])
            mentions[form] += 1
            before = WORD_BEFORE.search(text[max(0, first - BEFORE) : first])
            word = normalize_word(before.group(1)) if before else ""
            hints[form][Kind.FAMILY] += word in TITLES or first == last_end + 1
            hints[form][Kind.PLACE] += word in BEFORE_PLACES and not ENDING.match(text, end)
            after = text[end : end + AFTER].lower().split()
            hints[form][Kind.WOMAN] += len(OF_WOMEN.intersection(after))
            hints[form][Kind.MAN] += len(OF_MEN.intersection(after))
            last_end = end
    known = {
        normalize_word(name): kind
        for lists in COMMON_NAMES.values()
        for kind, common in lists.items()
        for name in common
    }
    return {form: known.get(form) or _weigh(hints[form], count) for form, count in mentions.items()}


def _weigh(hints: Counter[Kind], mentions: int) -> Kind:
    if hints[Kind.FAMILY] * TITLE_SHARE >= mentions:
        return Kind.FAMILY
    if hints[Kind.PLACE] * PLACE_SHARE >= mentions:
        return Kind.PLACE
    if hints[Kind.WOMAN] == hints[Kind.MAN]:
        return Kind.FAMILY
    return Kind.WOMAN if hints[Kind.WOMAN] > hints[Kind.MAN] else Kind.MAN
