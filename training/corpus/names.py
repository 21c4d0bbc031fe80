"""Names: which words of a corpus are people and places, by their capitals and the words around.

In German every noun has a capital, so a name there is what is used like one: hardly ever after an article or
an adjective, but after a title, beside a verb, or between commas.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from training.corpus.passages import Passage, draw
from training.text import EVERYDAY, FUNCTION_WORDS, WORD, normalize_word, stop_words

# Common names of people and places, in English and German: what stands for those of a writer's texts.
#
# None ends in s, x or z, so that any of them can have an ending.


class Kind(Enum):
    """What a name is of."""

    WOMAN = auto()
    MAN = auto()
    FAMILY = auto()
    PLACE = auto()


ENGLISH = {
    Kind.WOMAN: """
        Alice Amelia Amy Angela Anna Audrey Barbara Beatrice Caroline Catherine Charlotte Clara Claire
        Diana Dorothy Edith Eleanor Elizabeth Ellen Emily Emma Esther Eva Evelyn Fiona Florence Hannah
        Harriet Helen Irene Isabel Jane Janet Joan Judith Julia Karen Laura Linda Lucy Margaret Maria
        Marion Martha Mary Nancy Nora Olivia Patricia Rachel Rebecca Ruth Sarah Sophia Susan Sylvia Teresa
        Victoria
        """,
    Kind.MAN: """
        Adam Adrian Alan Albert Alexander Alfred Andrew Anthony Arnold Arthur Benjamin Brian Daniel David
        Donald Edgar Edmund Edward Eric Ernest Frank Frederick Geoffrey George Gerald Gilbert Harold Harry
        Henry Herbert Hugh Jacob John Jonathan Joseph Kenneth Leonard Martin Matthew Michael Nathan Oliver
        Oscar Patrick Paul Peter Philip Ralph Raymond Richard Robert Roger Samuel Simon Stephen Timothy
        Victor Walter William
        """,
    Kind.FAMILY: """
        Allen Anderson Atkinson Bailey Barnett Bennett Bradley Bryant Campbell Chapman Clark Coleman
        Collier Crawford Davidson Dawson Dixon Elliott Ellison Fletcher Gibson Graham Griffin Hamilton
        Harper Harrison Henderson Howard Hudson Jackson Johnson Kelly Lambert Lawson Marshall Mitchell
        Morgan Murphy Murray Nelson Newton Norton Osborne Palmer Pearson Peterson Powell Preston
        Richardson Robertson Robinson Russell Simpson Spencer Stanley Stewart Sullivan Taylor Thompson
        Walton Watson Webster Wilson
        """,
    Kind.PLACE: """
        Aberdeen Ashford Bedford Belfast Berlin Boston Bradford Brighton Bristol Cairo Cambridge
        Canterbury Carlisle Chester Chicago Denver Dover Dublin Durham Edinburgh Exeter Geneva Glasgow
        Gloucester Hamburg Hampton Hartford Lancaster Lincoln Lisbon Liverpool London Madrid Manchester
        Melbourne Milan Munich Newport Norwich Oxford Plymouth Portland Richmond Rome Salisbury Sheffield
        Stratford Sydney Venice Vienna Warwick Winchester Windsor York
        """,
}
GERMAN = {
    Kind.WOMAN: """
        Agathe Amalie Anna Antonie Barbara Beate Berta Brigitte Charlotte Clara Dora Dorothea Elisabeth
        Elsa Emilie Emma Erika Erna Eva Franziska Frieda Gertrud Gisela Greta Hanna Hedwig Helene
        Henriette Hilde Ida Ingrid Irene Johanna Josefine Julia Karla Karoline Katharina Klara Lina Lotte
        Luise Magda Margarete Maria Martha Mathilde Minna Monika Olga Ottilie Paula Petra Renate Sabine
        Sofie Susanne Therese Ursula Wilhelmine
        """,
    Kind.MAN: """
        Adam Albert Alfred Anton Arnold Arthur August Bernhard Bruno Christian Daniel Dietrich Eduard Emil
        Erich Erwin Eugen Ferdinand Friedrich Georg Gottfried Günther Gustav Heinrich Helmut Herbert
        Hermann Hugo Jakob Johann Josef Julian Karl Konrad Kurt Leo Leopold Ludwig Martin Michael Oskar
        Otto Paul Peter Philipp Reinhold Richard Robert Rudolf Stefan Theodor Ulrich Viktor Walter Werner
        Wilhelm Wolfgang
        """,
    Kind.FAMILY: """
        Albrecht Bauer Beck Becker Behrendt Bergmann Böhm Brandt Busch Engel Fischer Förster Haber Hahn
        Hartmann Heinemann Herrmann Hofmann Huber Jäger Keller Köhler Kramer Krause Krüger Lehmann Lindner
        Maier Meyer Möller Müller Neumann Pfeiffer Pohl Richter Roth Sauer Schäfer Schmidt Schneider
        Schreiber Schröder Schubert Schulze Schumann Schuster Seidel Sommer Thiele Vogel Vogt Wagner Weber
        Wegner Winkler Winter Wolf Zimmermann
        """,
    Kind.PLACE: """
        Altona Ansbach Augsburg Bamberg Berlin Bonn Bremen Breslau Celle Danzig Dresden Eisenach Emden
        Erfurt Essen Flensburg Frankfurt Freiburg Fulda Gotha Göttingen Halle Hamburg Hannover Heidelberg
        Innsbruck Jena Kassel Kiel Köln Königsberg Landshut Lübeck Magdeburg Mannheim Marburg Meran Minden
        Nürnberg Oldenburg Passau Potsdam Regensburg Rostock Salzburg Schwerin Stettin Stralsund Stuttgart
        Trier Tübingen Ulm Weimar Wien Wismar
        """,
}
COMMON_NAMES = {
    language: {kind: tuple(names.split()) for kind, names in lists.items()}
    for language, lists in (("en", ENGLISH), ("de", GERMAN))
}


LEAST_LETTERS = 3
OFTEN = 3  # names that are there more rarely are hardly learned; any German noun may lack an article twice
# Of so many times, a noun or a title follows an article at least once, a German noun that hardly ever does an
# adjective, and a German name is used like one.
ARTICLE_SHARE, ADJECTIVE_SHARE, USE_SHARE = 10, 3, 6
# After these, a capital means nothing: sentences and quotations begin with one.
OPENING_MARKS = "\"'\u201c\u201e\u2018«»("
SENTENCE_START = re.compile(rf"[.!?…:\n{OPENING_MARKS}][\s{OPENING_MARKS}\u201d\u2019\[\u2014\u2013_*-]*\Z")
TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|St|Mme|Mlle|Rev|Capt|Col|Hr|Frl)\.\s_?\Z"
)  # whose dot ends no sentence
ARTICLES = {
    "de": re.compile(
        r"\b(?:d(?:er|ie|as|en|em|es)|(?:[mds]?ein|kein|ihr|unser|euer|eur)(?:e[rnms]?)?"
        r"|(?:dies|jen|jed|welch|manch|solch|all|viel)e[rnms]?|[ia]m|zu[mr]|vom|beim|[ia]ns|aufs)\s_?\Z",
        re.IGNORECASE,
    ),
    "en": re.compile(r"\b(?:the|an?)\s_?\Z", re.IGNORECASE),
}
# What ends in -te or -ten is mostly a verb.
GERMAN_ADJECTIVE = re.compile(r"\b([a-zäöüß]{2,}(?:e[mrs]|(?<!t)en?))\s_?\Z")
GERMAN_NOUN = re.compile(r"(?:keit|heit|schaft|tät|ion|ung)(?:en)?\Z|(?:chen|lein|nis)\Z")
BEFORE_NAME = re.compile(
    r"\b(?:Frau|Herrn?|Fräulein|Doktor|Graf|Baron|Onkel|Tante|Vetter|sagte|fragte|rief|meinte|sprach|antwortete"
    r"|erwiderte)\s_?\Z"
)
AFTER_NAME = re.compile(
    r"_?\s(?:[a-zäöüß]+te|war|ist|hat|kam|ging|stand|saß|sah|rief|will|soll|kann|muß|wird|wurde|nahm|trat|schwieg)\b"
)
MARK_BEFORE = re.compile(rf"[,;.!?\u2013\u2014{OPENING_MARKS}]\s?_?\Z")
MARK_AFTER = re.compile(r"_?[,!?]")
CONTEXT = 24  # characters
NAME_ENDING = re.compile("(?:['\u2019][a-z]{1,2}|s)\\Z")  # 'll and 'd, the German genitive, a family's plural
KNOWN = {
    normalize_word(name)
    for kind in (Kind.WOMAN, Kind.MAN, Kind.PLACE)  # many a German family is also a noun
    for name in COMMON_NAMES["de"][kind]
}
HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{2,}")


class NameIndex:
    """Which words of a corpus are names.

    A name is a word that has a capital within sentences, more often than not; in German one that is there
    three times or more and used like a name.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.capitals: Counter[str] = Counter()  # how much more often a word has a capital than not
        # How often a word with a capital follows an article or an adjective, and is used like a name.
        self._articles: Counter[str] = Counter()
        self._adjectives: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        for passage in passages:
            for term, position in terms(passage.text):
                self._count(passage, term, position)

    def is_name(self, form: str, language: str) -> bool:
        """Return whether a word, in its compared form, is the name of somebody or something."""
        return self.is_often_named(form, language) if language == "de" else self.capitals[form] > 0

    def is_often_named(self, form: str, language: str) -> bool:
        """Return whether a word is a name that is there three times or more, and not a title or a weekday."""
        times = self.capitals[form]
        if times < OFTEN or form in EVERYDAY or self._articles[form] * ARTICLE_SHARE >= times:
            return False
        is_described = self._adjectives[form] * ADJECTIVE_SHARE >= times
        is_used = self._uses[form] * USE_SHARE >= times and not GERMAN_NOUN.search(form)
        return language != "de" or form in KNOWN or (is_used and not is_described)

    def find(self, text: str, language: str) -> list[tuple[int, int]]:
        """Return where such names are in a text, without endings: from a position up to before another."""
        spans = []
        for term, position in terms(text):
            for name in (NAME_ENDING.sub("", term), term):
                if name[:1].isupper() and self.is_often_named(normalize_word(name), language):
                    spans.append((position, position + len(name)))
                    break
        return spans

    def _count(self, passage: Passage, term: str, position: int) -> None:
        form = normalize_word(term)
        if term[0].islower():
            self.capitals[form] -= 1
        if not term[0].isupper():
            return
        before = passage.text[max(0, position - CONTEXT) : position]
        starts_sentence = not before or (SENTENCE_START.search(before) and not TITLE.search(before))
        self.capitals[form] += not starts_sentence
        article = ARTICLES.get(passage.language)
        self._articles[form] += article is not None and article.search(before) is not None
        if passage.language == "de":
            after = passage.text[position + len(term) :][:CONTEXT]
            self._adjectives[form] += _ends_in_adjective(before)
            self._uses[form] += _is_used_as_name(before, after)


def terms(text: str) -> Iterator[tuple[str, int]]:
    """Yield words of three letters and more and pairs of Han signs, with their positions."""
    for match in WORD.finditer(text):
        whole = match.group().lstrip("_")
        word = whole.rstrip("_").removesuffix("'s").removesuffix("\u2019s")
        if len(word) >= LEAST_LETTERS and word[0].isalpha() and not word.startswith(("I'", "I\u2019")):
            yield word, match.end() - len(whole)
    for run in HAN_RUN.finditer(text):
        for offset in range(len(run.group()) - 1):
            yield run.group()[offset : offset + 2], run.start() + offset


def _ends_in_adjective(before: str) -> bool:
    adjective = GERMAN_ADJECTIVE.search(before)
    return adjective is not None and adjective.group(1) not in FUNCTION_WORDS["de"]


def _is_used_as_name(before: str, after: str) -> bool:
    if BEFORE_NAME.search(before) or AFTER_NAME.match(after):
        return True
    return bool(MARK_BEFORE.search(before) and MARK_AFTER.match(after))


# Renaming: in what a style learns, people and places that its texts often mention have other, common names.
#
# A style should learn how its author writes, not about whom. With other names in each passage it learns
# where names stand, and none of them. Who is a woman or a man, a family or a place is guessed from the
# words around.

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


# Keywords: what a passage is about, as a list of words. They replace a missing brief.
#
# Names of people and places are none: a style should learn how its author writes, not about whom.
#
# All numbers are integers, so that ties are broken in the same way on every machine.

LEAST_KEYWORDS = 5
MOST_KEYWORDS = 8
WORDS_PER_KEYWORD = 30  # a longer passage gets more of them
NOUN_WEIGHT = 2  # of a German noun
# A word that only one passage has may be an oddity: it counts as if three had it.
LEAST_PASSAGES = 3


@dataclass(frozen=True)
class Candidate:
    """A word of a passage: its compared form, its most common spelling, its count and its first position."""

    form: str
    spelling: str
    count: int
    position: int


class KeywordIndex:
    """How many passages of a corpus have each word, and which words are names."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = max(1, len(passages))
        self._with_word: Counter[str] = Counter()
        self.names = NameIndex(passages)
        for passage in passages:
            self._with_word.update({normalize_word(term) for term, _ in terms(passage.text)})

    def find_keywords(self, passage: Passage) -> tuple[str, ...]:
        """Return the five to eight most telling words of a passage, in the order in which it has them.

        A word is the more telling, the more often it is in the passage and the fewer other passages have it.
        There are fewer keywords if the passage has no more telling words.
        """
        wanted = min(MOST_KEYWORDS, max(LEAST_KEYWORDS, passage.words // WORDS_PER_KEYWORD))
        chosen: list[Candidate] = []
        candidates = [
            one for one in _find_candidates(passage) if not self.names.is_name(one.form, passage.language)
        ]
        for candidate in sorted(candidates, key=self._rank):
            if len(chosen) < wanted and not any(_are_variants(candidate, other) for other in chosen):
                chosen.append(candidate)
        chosen.sort(key=lambda candidate: candidate.position)
        return tuple(self._spell(candidate) for candidate in chosen)

    def _rank(self, candidate: Candidate) -> tuple[int, int, int]:
        """Return a key that sorts the most telling word first; of equal ones the longer, then the earlier.

        Its weight is its count times the binary digits of how rare it is.
        """
        rarity = self._passages // max(LEAST_PASSAGES, self._with_word[candidate.form])
        weight = candidate.count * rarity.bit_length()
        if self.names.capitals[candidate.form] > 0:
            weight *= NOUN_WEIGHT
        return -weight, -len(candidate.form), candidate.position

    def _spell(self, candidate: Candidate) -> str:
        """Return a word without a capital from the start of a sentence, if it mostly has none elsewhere."""
        return candidate.spelling.lower() if self.names.capitals[candidate.form] < 0 else candidate.spelling


def _are_variants(candidate: Candidate, other: Candidate) -> bool:
    """Return whether one word is the other with an ending, such as a plural."""
    return candidate.form.startswith(other.form) or other.form.startswith(candidate.form)


def _find_candidates(passage: Passage) -> list[Candidate]:
    """Return the words of a passage that can be keywords."""
    ignored = stop_words(passage.language)
    spellings: dict[str, Counter[str]] = {}
    positions: dict[str, int] = {}
    for term, position in terms(passage.text):
        form = normalize_word(term)
        if form not in ignored:
            spellings.setdefault(form, Counter())[term] += 1
            positions.setdefault(form, position)
    candidates = []
    for form, counts in spellings.items():
        spelling = max(counts, key=lambda term: (counts[term], term))
        candidates.append(Candidate(form, spelling, counts.total(), positions[form]))
    return candidates
